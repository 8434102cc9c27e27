//! The files in `web/`, compiled in.

/// The page. `@VERSION@` stands for the folder of the other files.
pub(crate) const PAGE: &str = include_str!("../web/console.html");

macro_rules! files {
    ($($name:literal $kind:literal),* $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("../web/", $name)))),*]
    };
}

/// The other files: name, content type, content.
pub(crate) const FILES: &[(&str, &str, &str)] = files![
    "api.js" "text/javascript; charset=utf-8",
    "audit.js" "text/javascript; charset=utf-8",
    "environments.js" "text/javascript; charset=utf-8",
    "icon.svg" "image/svg+xml",
    "import.js" "text/javascript; charset=utf-8",
    "main.js" "text/javascript; charset=utf-8",
    "people.js" "text/javascript; charset=utf-8",
    "preview.js" "text/javascript; charset=utf-8",
    "runs.js" "text/javascript; charset=utf-8",
    "secrets.js" "text/javascript; charset=utf-8",
    "style.css" "text/css; charset=utf-8",
    "ui.js" "text/javascript; charset=utf-8",
];
