"use strict";
// A double click on the button of such a form sends it once.
for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", (event) => {
        if (form.dataset.once === "sent") {
            event.preventDefault();
        }
        form.dataset.once = "sent";
    });
}
// The browser shows the page as it was left when one comes back.
window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-once]")) {
        form.dataset.once = "";
    }
});
