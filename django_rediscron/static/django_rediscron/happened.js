"use strict";
// Refreshes what stands above the form of a schedule. What has the focus stays, and nothing moves
// while one types.
{
    const PERIOD = 5000; // ms
    const LONGEST = 60000; // ms, while it fails
    const PARTS = [".rediscron-state", ".rediscron-why", ".rediscron-story"];

    const watch = (box) => {
        const form = document.getElementById("schedule_form");
        const loaded = box.dataset.version;
        let timer = null;
        let pause = PERIOD;
        let busy = false;

        // Read out when it changes, so each of these is there all the time.
        const tell = (place, text) => {
            if (place && place.textContent !== text) {
                place.textContent = text;
            }
        };
        const stale = box.querySelector(".rediscron-stale");
        const news = box.querySelector(".rediscron-news");
        const changed = document.querySelector(".rediscron-changed");

        const put = (fresh) => {
            if (fresh.dataset.version !== loaded) {
                tell(changed, fresh.dataset.changed);
            }
            if (form?.contains(document.activeElement)) {
                return; // else the form would move
            }
            for (const part of PARTS) {
                const [shown, now] = [box, fresh].map((each) => each.querySelector(part));
                if (shown && now && shown.innerHTML !== now.innerHTML
                    && !shown.contains(document.activeElement)) {
                    shown.replaceChildren(...now.childNodes); // our own server's, escaped there
                }
            }
            if (fresh.dataset.news !== box.dataset.news) {
                box.dataset.news = fresh.dataset.news;
                tell(news, fresh.dataset.news);
            }
        };

        const read = async () => {
            const response = await fetch(box.dataset.url + location.search, {
                credentials: "same-origin",
            });
            if (response.status === 404) {
                tell(stale, box.dataset.gone);
                return;
            }
            const page = new DOMParser().parseFromString(await response.text(), "text/html");
            const fresh = page.getElementById(box.id);
            if (!fresh) { // a page to log in, or that of an outage
                throw new Error("no state");
            }
            put(fresh);
            tell(stale, "");
        };

        const refresh = async () => {
            if (busy) {
                return;
            }
            busy = true;
            try {
                await read();
                pause = PERIOD;
            } catch {
                tell(stale, box.dataset.stale);
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
        const box = document.getElementById("rediscron-happened");
        if (box) {
            watch(box);
        }
    });
}
