"use strict";
// Updates the next runs in the form as one types.
{
    const DELAY = 300; // ms after the last key

    const watch = (box) => {
        const names = box.dataset.names.split(" ");
        // Django numbers the inputs of one field: start_at_0, start_at_1.
        const inputs = [...(box.closest("form")?.elements ?? [])]
            .filter((each) => names.includes(each.name?.replace(/_\d$/, "")));
        if (!inputs.length) {
            return;
        }
        let timer = null;
        let request = null;
        let shown = null;

        // Read out is when it runs and the first time, or what is wrong; not ten dates.
        const status = document.getElementById("rediscron-preview-status");
        const announce = () => {
            const parts = ["strong, .errorlist li", "ol li"]
                .map((each) => box.querySelector(each)?.textContent.trim())
                .filter(Boolean);
            const text = parts.join(": ") || box.textContent.trim();
            if (status.textContent !== text) {
                status.textContent = text;
            }
        };

        const query = () => {
            const values = new URLSearchParams();
            for (const input of inputs) {
                values.set(input.name, input.value);
            }
            if (box.dataset.id) {
                values.set("stored", box.dataset.id);
            }
            return values.toString();
        };

        // What stands at a field already is not told here as well.
        const errorsOf = (input) => [...input.closest(".form-row").querySelectorAll(".errorlist")];
        const forget = (input) => {
            errorsOf(input).forEach((each) => each.remove());
            input.closest(".errors")?.classList.remove("errors");
        };
        const tellOnce = () => {
            if (inputs.some((each) => errorsOf(each).length)) {
                box.querySelector(".errorlist")?.remove();
            }
        };

        const update = async () => {
            const wanted = query();
            if (wanted === shown) {
                return;
            }
            request?.abort();
            request = new AbortController();
            try {
                const response = await fetch(`${box.dataset.url}?${wanted}`, {
                    headers: {"X-Requested-With": "XMLHttpRequest"},
                    signal: request.signal,
                });
                if (!response.ok || response.redirected) {
                    throw new Error(response.statusText);
                }
                box.innerHTML = await response.text(); // our own server's, escaped there
                tellOnce();
                announce();
                shown = wanted;
            } catch (error) {
                if (error.name !== "AbortError") {
                    box.textContent = box.dataset.unreachable;
                    announce();
                    shown = null;
                }
            }
        };

        const later = () => {
            clearTimeout(timer);
            timer = setTimeout(update, DELAY);
        };
        for (const input of inputs) {
            input.addEventListener("input", () => {
                forget(input);
                later();
            });
            input.addEventListener("change", later);
            // Django's calendar and clock set values without an event, and then the focus.
            input.addEventListener("focus", later);
        }
        const isWrong = Boolean(box.closest("form")?.querySelector(".errorlist, .errornote"));
        const isStored = Boolean(box.dataset.id);
        shown = isWrong || !isStored ? null : query();
        if (shown === null) {
            later();
        }
    };

    document.addEventListener("DOMContentLoaded", () => {
        const box = document.getElementById("rediscron-preview");
        if (box) {
            watch(box);
        }
    });
}
