"use strict";
// Refreshes times, states and the banner of the list. Check boxes, and what has the focus, stay.
{
    const PERIOD = 5000; // ms
    const LONGEST = 60000; // ms, while it fails

    const watch = (box) => {
        const list = document.getElementById("result_list");
        const token = document.querySelector("#changelist-form [name=csrfmiddlewaretoken]");
        if (!token) {
            return;
        }
        const marks = list ? [...list.querySelectorAll("[data-schedule]")] : [];
        const rows = new Map(marks.map((mark) => [mark.dataset.schedule, mark.closest("tr")]));
        let timer = null;
        let pause = PERIOD;
        let busy = false;

        const put = (place, html) => {
            if (place.dataset.html !== html && !place.contains(document.activeElement)) {
                place.innerHTML = html; // our own server's, escaped there
                place.dataset.html = html;
            }
        };

        const putBanner = (html) => {
            // The verdict is read out when it changes, so it stays the same element.
            const piece = document.createElement("template");
            piece.innerHTML = html;
            const now = piece.content.querySelector(".rediscron-banner");
            const shown = box.querySelector(".rediscron-banner");
            const verdicts = [now, shown].map((each) => each.querySelector("strong"));
            shown.className = now.className;
            if (verdicts[0].textContent !== verdicts[1].textContent) {
                verdicts[1].textContent = verdicts[0].textContent;
            }
            if (!shown.querySelector("ul a:focus")) {
                shown.querySelectorAll("ul").forEach((each) => each.remove());
                shown.append(...now.querySelectorAll("ul"));
            }
        };

        const markStale = (text) => {
            // Read out when it comes and goes, so it is there all the time.
            const status = box.querySelector(".rediscron-stale");
            if (status.textContent !== text) {
                status.textContent = text;
            }
        };

        const update = (answer) => {
            putBanner(answer.banner);
            if (answer.pauses !== undefined) {
                put(document.getElementById("rediscron-pauses"), answer.pauses);
            }
            markStale("");
            for (const [id, cells] of Object.entries(answer.rows)) {
                const row = rows.get(id);
                row?.classList.remove("rediscron-gone");
                for (const [column, html] of Object.entries(cells)) {
                    const cell = row?.querySelector(`.field-${column}`);
                    if (cell) {
                        put(cell, html);
                    }
                }
            }
            for (const id of answer.gone) {
                const row = rows.get(id);
                const cell = row?.querySelector(".field-current_state");
                if (cell) {
                    row.classList.add("rediscron-gone");
                    cell.textContent = answer.goneText;
                    delete cell.dataset.html;
                }
            }
        };

        const refresh = async () => {
            if (busy) {
                return;
            }
            busy = true;
            const body = new URLSearchParams();
            body.set("csrfmiddlewaretoken", token.value);
            for (const id of rows.keys()) {
                body.append("id", id);
            }
            try {
                const response = await fetch(box.dataset.url, {
                    method: "POST",
                    body,
                    credentials: "same-origin",
                    headers: {Accept: "application/json"},
                });
                update(await response.json()); // a page to log in is no JSON
                pause = response.ok ? PERIOD : Math.min(2 * pause, LONGEST);
            } catch {
                markStale(box.dataset.stale);
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
        const box = document.getElementById("rediscron-banner");
        if (box) {
            watch(box);
        }
    });
}
