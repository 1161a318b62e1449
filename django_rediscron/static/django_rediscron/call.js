"use strict";
// Shows an input for each parameter of the chosen function in place of the JSON of the arguments.
{
    const DELAY = 400; // ms after the last key

    const watch = (box) => {
        const form = box.closest("form");
        const name = form.elements.func_name;
        const boxes = [form.elements.args, form.elements.kwargs];
        const rows = boxes.map((each) => each.closest(".form-row"));
        const sent = form.elements.parameters;
        const inputs = box.querySelector(".rediscron-inputs");
        const problem = box.querySelector(".rediscron-problem");
        const button = box.querySelector("button");
        const offered = new Set([...(name.list?.options ?? [])].map((each) => each.value));
        let shown = box.dataset.function; // the function that there are inputs for
        let possible = shown !== "" || "known" in box.dataset; // whether the function can be looked at
        let asked = name.value;
        let timer = null;
        let request = null;

        const asInputs = () => sent.value !== "";

        const say = (text) => {
            if (problem.textContent !== text) {
                problem.textContent = text;
            }
        };

        const show = (mode) => {
            sent.value = mode === "inputs" ? shown : "";
            inputs.hidden = mode === "json" && shown !== "";
            rows.forEach((row) => row.classList.toggle("rediscron-hidden", mode === "inputs"));
            button.hidden = !possible;
            button.textContent = mode === "inputs" ? box.dataset.asJson : box.dataset.asInputs;
            box.hidden = !possible && !inputs.childElementCount;
            box.closest(".form-row").classList.toggle("rediscron-hidden", box.hidden);
        };

        const ask = async () => {
            clearTimeout(timer);
            request?.abort();
            request = new AbortController();
            const body = new FormData();
            for (const [key, value] of new FormData(form)) {
                if (/^(csrfmiddlewaretoken|func_name|parameters|args|kwargs|param-.*)$/.test(key)) {
                    body.append(key, value);
                }
            }
            try {
                const response = await fetch(box.dataset.url, {
                    method: "POST",
                    body,
                    credentials: "same-origin",
                    headers: {Accept: "application/json"},
                    signal: request.signal,
                });
                if (!response.ok || response.redirected) {
                    throw new Error(response.statusText);
                }
                return await response.json();
            } catch (error) {
                if (error.name !== "AbortError") {
                    say(box.dataset.unreachable);
                }
                return null;
            }
        };

        // Errors that stand at an input now, and which other inputs are empty that must not be.
        const tell = (answer) => {
            for (const row of inputs.querySelectorAll(".rediscron-parameter")) {
                const input = row.querySelector("input, select, textarea");
                const html = answer.errors[input.id] ?? "";
                const old = row.querySelector(".errorlist");
                const keep = answer.missing.includes(row.dataset.name) && old;
                if (keep) {
                    continue;
                }
                old?.remove();
                input.insertAdjacentHTML("beforebegin", html); // our own server's, escaped there
                row.classList.toggle("errors", html !== "");
                input.setAttribute("aria-invalid", html !== "");
                const hint = `${input.id}_helptext`;
                input.setAttribute("aria-describedby", html ? `${input.id}_error ${hint}` : hint);
            }
            const untold = answer.missing.filter(
                (each) => !inputs.querySelector(`[data-name="${CSS.escape(each)}"] .errorlist`),
            );
            say(untold.length ? `${box.dataset.missing} ${untold.join(", ")}` : answer.problem);
        };

        const take = (answer) => {
            inputs.innerHTML = answer.html; // our own server's, escaped there
            shown = answer.function;
            possible = answer.known;
            boxes[0].value = answer.args;
            boxes[1].value = answer.kwargs;
        };

        // The inputs of a function that was chosen; whoever types JSON by then is left alone.
        const choose = async () => {
            asked = name.value;
            const before = boxes.map((each) => each.value);
            const answer = await ask();
            if (!answer || name.value !== asked) {
                return;
            }
            say("");
            if (boxes.some((each, place) => each.value !== before[place])) {
                possible = answer.known;
                show("json");
                return;
            }
            const isLeft = rows.some((row) => row.contains(document.activeElement));
            take(answer);
            show(shown ? "inputs" : "json");
            if (shown) {
                if (isLeft) {
                    inputs.querySelector("input, select, textarea")?.focus();
                }
                check();
            }
        };

        const check = async () => {
            const answer = await ask();
            if (answer) {
                tell(answer);
            }
        };

        const toJson = async () => {
            const answer = await ask();
            if (!answer) {
                return;
            }
            if (Object.keys(answer.errors).length) {
                tell(answer);
                inputs.querySelector("[aria-invalid=true]")?.focus();
                return;
            }
            take(answer);
            show("json");
            say(answer.problem);
        };

        const toInputs = async () => {
            const answer = await ask();
            if (answer) {
                take(answer);
                show(shown ? "inputs" : "json");
                say("");
            }
        };

        const later = (work) => {
            clearTimeout(timer);
            timer = setTimeout(work, DELAY);
        };

        name.addEventListener("input", () => {
            if (offered.has(name.value) && name.value !== asked) {
                later(choose);
            }
        });
        name.addEventListener("change", () => {
            if (name.value !== asked) {
                choose();
            }
        });
        inputs.addEventListener("input", () => later(check));
        inputs.addEventListener("change", () => later(check));
        for (const row of rows) {
            row.addEventListener("input", (event) => {
                row.querySelectorAll(".errorlist").forEach((each) => each.remove()); // told above
                event.target.closest(".errors")?.classList.remove("errors");
                later(check);
            });
        }
        button.addEventListener("click", () => (asInputs() ? toJson() : toInputs()));
        show(box.dataset.mode);
    };

    document.addEventListener("DOMContentLoaded", () => {
        const box = document.getElementById("rediscron-parameters");
        if (box) {
            watch(box);
        }
    });
}
