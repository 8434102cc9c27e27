//! The actions of a user on a page. Elements are found by their visible labels.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Browser;

/// For how long a test waits for something on the page. The machines of CI are slow.
const PATIENCE: Duration = Duration::from_mins(1);

/// Finds elements in the topmost open dialog, or in the page if none is open.
const FIND: &str = r#"
const dialogs = [...document.querySelectorAll("dialog[open]")];
const top = dialogs.find((one) => one.id === "sign-in") ?? dialogs.at(-1) ?? document.body;
const visible = (one) => one.checkVisibility() && !one.closest("[hidden]");
const name = (one) => (one.getAttribute("aria-label") ?? one.textContent).trim();
"#;

/// The page of the console.
pub struct Page<'a> {
    /// The browser.
    pub browser: &'a Browser,
}

impl Page<'_> {
    /// Clicks the button or link with this name.
    pub async fn click(&self, label: &str) {
        let script = format!(
            "{FIND} return [...top.querySelectorAll('button, a, summary')].find((one) => visible(one) && !one.disabled && name(one) === arguments[0]) ?? null"
        );
        self.act(&format!("click {label}"), &script, label, None).await;
    }

    /// Types into the empty field with this label.
    pub async fn type_into(&self, label: &str, text: &str) {
        self.act(
            &format!("type into {label}"),
            &Self::control("control.value = ''; return control"),
            label,
            Some(text),
        )
        .await;
    }

    /// Chooses a file in the field with this label.
    pub async fn choose_file(&self, label: &str, path: &str) {
        self.act(&format!("choose a file for {label}"), &Self::control("return control"), label, Some(path))
            .await;
    }

    /// Sets a field that is not typed into: a choice, a date or a checkbox.
    pub async fn set(&self, label: &str, value: &str) {
        let change = r#"
            if (control.type === "checkbox") { if (String(control.checked) !== arguments[1]) control.click(); return true; }
            control.value = arguments[1];
            for (const kind of ["input", "change"]) control.dispatchEvent(new Event(kind, { bubbles: true }));
            return true;"#;
        self.until(&format!("set {label}"), &Self::control(change), &[json!(label), json!(value)]).await;
    }

    /// Returns the current content of a field.
    pub async fn value(&self, label: &str) -> String {
        let found = self.until(label, &Self::control("return [control.value]"), &[json!(label)]).await;
        found[0].as_str().unwrap_or_default().to_owned()
    }

    /// A script that finds the control with a label.
    fn control(then: &str) -> String {
        format!(
            r#"{FIND}
            const label = [...top.querySelectorAll("label")].find((one) => visible(one) && one.textContent.trim() === arguments[0]);
            const control = label?.control ?? [...top.querySelectorAll("select, input")].find((one) => visible(one) && one.getAttribute("aria-label") === arguments[0]);
            if (!control) return null;
            {then}"#
        )
    }

    /// Waits until the page, with its dialogs, shows this text.
    pub async fn sees(&self, text: &str) {
        let script = "return document.body.innerText.includes(arguments[0]) || null";
        self.until(&format!("see {text}"), script, &[json!(text)]).await;
    }

    /// Waits until the page no longer shows this text.
    pub async fn sees_no_more(&self, text: &str) {
        let script = "return !document.body.innerText.includes(arguments[0]) || null";
        self.until(&format!("see no more {text}"), script, &[json!(text)]).await;
    }

    /// Returns the visible text of the page and its dialogs.
    pub async fn text(&self) -> String {
        let text = self.browser.run("return document.body.innerText", &[]).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Returns the names of the visible buttons and links.
    pub async fn offers(&self) -> Vec<String> {
        let script =
            format!("{FIND} return [...top.querySelectorAll('button, a')].filter(visible).map(name)");
        let names = self.browser.run(&script, &[]).await;
        names.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Waits until nothing is loading and no dialog with a running action is open.
    pub async fn settles(&self) {
        let script = "return !document.querySelector('[aria-busy], button:disabled:not(.primary):not(.danger)') || null";
        self.until("settle", script, &[]).await;
    }

    /// Waits until a script returns something other than null.
    pub async fn until(&self, what: &str, script: &str, arguments: &[Value]) -> Value {
        let begun = Instant::now();
        loop {
            let found = self.browser.try_run(script, arguments).await.unwrap_or(Value::Null);
            if !found.is_null() {
                return found;
            }
            self.be_patient(begun, what).await;
        }
    }

    /// Clicks or types, again if the element was replaced or covered meanwhile.
    async fn act(&self, what: &str, script: &str, label: &str, typed: Option<&str>) {
        let begun = Instant::now();
        loop {
            let element = self.until(what, script, &[json!(label)]).await;
            let done = match typed {
                Some(text) => self.browser.type_into(&element, text).await,
                None => self.browser.click(&element).await,
            };
            if done.is_ok() {
                return;
            }
            self.be_patient(begun, &format!("{what}: {done:?}")).await;
        }
    }

    async fn be_patient(&self, begun: Instant, what: &str) {
        assert!(begun.elapsed() < PATIENCE, "could not {what} on the page:\n{}", self.text().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
