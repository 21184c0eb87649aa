//! A person with a browser: headless Chromium on its own profile, driven over `WebDriver`.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::process::Command;

use futures_util::FutureExt as _;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use thirtyfour::common::command::FormatRequestData;
use thirtyfour::prelude::*;
use thirtyfour::{ChromeCapabilities, RequestData, SessionId};

use super::process::Process;
use super::tool;

/// Without a screen, as root too, and never asking anybody on the network.
const FLAGS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser's window.
pub(crate) struct Window(WebDriver);

/// Request for a property of an element as assistive technology is told it.
#[derive(Debug)]
struct Computed<'a> {
    element: &'a WebElement,
    what: &'static str,
}

impl FormatRequestData for Computed<'_> {
    fn format_request(&self, session: &SessionId) -> RequestData {
        let (element, what) = (self.element.element_id(), self.what);
        RequestData::new(Method::GET, format!("/session/{session}/element/{element}/{what}"))
    }
}

/// Command to the browser's development tools.
#[derive(Debug)]
struct DevTools(&'static str, Value);

impl FormatRequestData for DevTools {
    fn format_request(&self, session: &SessionId) -> RequestData {
        let Self(command, parameters) = self;
        let path = format!("/session/{session}/goog/cdp/execute");
        RequestData::new(Method::POST, path).add_body(json!({"cmd": command, "params": parameters}))
    }
}

impl Window {
    /// Opens a browser on this page for as long as `visit` takes, however that ends.
    pub(crate) async fn visit<T>(url: &str, visit: impl AsyncFnOnce(&Self) -> T) -> T {
        let (_chromedriver, port) = listening_driver();
        let address = format!("http://127.0.0.1:{port}");
        let window = Self(WebDriver::new(address, capabilities()).await.unwrap());
        let visited = AssertUnwindSafe(async {
            window.0.goto(url).await.unwrap();
            visit(&window).await
        });
        let visited = visited.catch_unwind().await;
        // A driver that is only dropped takes minutes, and then leaves the browser running.
        window.0.quit().await.unwrap();
        visited.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// URL of the page.
    pub(crate) async fn url(&self) -> Url {
        self.0.current_url().await.unwrap()
    }

    /// The title of the page.
    pub(crate) async fn title(&self) -> String {
        self.0.title().await.unwrap()
    }

    /// Opens another page.
    pub(crate) async fn goto(&self, url: &str) {
        self.0.goto(url).await.unwrap();
    }

    pub(crate) async fn reload(&self) {
        self.0.refresh().await.unwrap();
    }

    pub(crate) async fn back(&self) {
        self.0.back().await.unwrap();
    }

    pub(crate) async fn forward(&self) {
        self.0.forward().await.unwrap();
    }

    /// Takes pictures of the page, light, dark and on a phone, into the folder that `SCREENSHOTS` names; none where
    /// nothing names one.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("SCREENSHOTS") else { return };
        for (look, scheme, [width, height]) in [
            ("light", "light", [1000, 700]),
            ("dark", "dark", [1000, 700]),
            ("phone", "light", [360, 740]),
            ("phone-dark", "dark", [360, 740]),
        ] {
            let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
            self.tell("Emulation.setEmulatedMedia", json!({"features": feature})).await;
            let size = json!({"width": width, "height": height, "deviceScaleFactor": 1,
                "mobile": width < 500});
            self.tell("Emulation.setDeviceMetricsOverride", size).await;
            let file = Path::new(&folder).join(format!("{name}-{look}.png"));
            self.0.screenshot(&file).await.unwrap();
        }
        self.tell("Emulation.clearDeviceMetricsOverride", json!({})).await;
    }

    async fn tell(&self, command: &'static str, parameters: Value) {
        self.0.cmd(DevTools(command, parameters)).await.unwrap();
    }

    /// The visible text of the element that this selector finds.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.unwrap()
    }

    /// Waits for the element that this selector finds.
    async fn find(&self, selector: &str) -> WebElement {
        self.0.query(By::Css(selector)).first().await.unwrap()
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    /// Presses a key wherever the focus is.
    pub(crate) async fn press(&self, key: Key) {
        self.0.action_chain().send_keys(key).perform().await.unwrap();
    }

    /// Presses a key with Shift held down.
    pub(crate) async fn press_with_shift(&self, key: Key) {
        let keys = self.0.action_chain().key_down(Key::Shift).send_keys(key);
        keys.key_up(Key::Shift).perform().await.unwrap();
    }

    /// Element that has the focus, as a screen reader says it: its role and its name.
    pub(crate) async fn focused(&self) -> (String, String) {
        let element = self.0.active_element().await.unwrap();
        let (role, label) = ("computedrole", "computedlabel");
        (self.computed(&element, role).await, self.computed(&element, label).await)
    }

    async fn computed(&self, element: &WebElement, what: &'static str) -> String {
        self.0.cmd(Computed { element, what }).await.unwrap().value().unwrap()
    }
}

/// A `ChromeDriver` that listens, and its port. It draws a port on `::1` and then needs the same one on `127.0.0.1`: where
/// another program has that, it ends, and the next one draws another.
fn listening_driver() -> (Process, String) {
    const STARTED: &str = "started successfully on port ";
    loop {
        let mut command = Command::new(tool("CHROMEDRIVER"));
        command.arg("--port=0");
        let driver = Process::start(command);
        let line = driver.line_with_one_of(&[STARTED, "port not available"]);
        if let Some((_, port)) = line.split_once(STARTED) {
            return (driver, port.trim_end_matches('.').to_owned());
        }
    }
}

fn capabilities() -> ChromeCapabilities {
    let mut capabilities = DesiredCapabilities::chrome();
    capabilities.set_binary(tool("CHROMIUM").to_str().unwrap()).unwrap();
    for flag in FLAGS {
        capabilities.add_arg(flag).unwrap();
    }
    capabilities
}
