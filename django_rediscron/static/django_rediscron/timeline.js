"use strict";
// Refreshes the timeline. What has the focus, and where one has scrolled to, stays.
{
    const PERIOD = 15000; // ms
    const LONGEST = 120000; // ms, while it fails

    const watch = (box) => {
        const status = document.querySelector(".rediscron-timeline > .rediscron-stale");
        let timer = null;
        let pause = PERIOD;
        let busy = false;

        const tell = (text) => {
            if (status.textContent !== text) {
                status.textContent = text;
            }
        };

        const put = (page) => {
            const fresh = page.getElementById(box.id);
            if (!fresh) { // a page to log in, or that of an outage
                throw new Error("no timeline");
            }
            if (fresh.innerHTML === box.innerHTML || box.contains(document.activeElement)) {
                return;
            }
            const lanes = box.querySelector(".rediscron-lanes");
            const [left, top] = [lanes?.scrollLeft ?? 0, window.scrollY];
            box.replaceChildren(...fresh.childNodes); // our own server's, escaped there
            box.querySelector(".rediscron-lanes")?.scrollTo(left, 0);
            window.scrollTo(window.scrollX, top);
        };

        const refresh = async () => {
            if (busy) {
                return;
            }
            busy = true;
            try {
                const response = await fetch(location.href, {credentials: "same-origin"});
                const text = await response.text();
                put(new DOMParser().parseFromString(text, "text/html"));
                pause = PERIOD;
                tell("");
            } catch {
                tell(box.dataset.stale);
                pause = Math.min(2 * pause, LONGEST);
            }
            busy = false;
            schedule();
        };

        const schedule = () => {
            clearTimeout(timer);
            if (!document.hidden) {
                timer = setTimeout(refresh, pause);
            }
        };

        document.addEventListener("visibilitychange", () => {
            clearTimeout(timer);
            if (!document.hidden) {
                refresh();
            }
        });
        schedule();
    };

    document.addEventListener("DOMContentLoaded", () => {
        const box = document.getElementById("rediscron-timeline");
        if (box) {
            watch(box);
        }
    });
}
