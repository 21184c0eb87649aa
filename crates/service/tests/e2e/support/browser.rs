//! A person with a browser: headless Chromium on its own profile, driven over `WebDriver`.

use std::process::Command;

use reqwest::Method;
use thirtyfour::common::command::FormatRequestData;
use thirtyfour::prelude::*;
use thirtyfour::{RequestData, SessionId};

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

/// A browser window. Dropping it ends the browser, then its driver.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    _chromedriver: Process,
}

/// What assistive technology is told of an element.
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

impl Browser {
    pub(crate) async fn open(url: &str) -> Self {
        let mut command = Command::new(tool("CHROMEDRIVER"));
        command.arg("--port=0");
        let chromedriver = Process::start(command);
        let line = chromedriver.line_with("started successfully on port ");
        let port = line.rsplit(' ').next().unwrap().trim_end_matches('.');
        let mut capabilities = DesiredCapabilities::chrome();
        capabilities.set_binary(tool("CHROMIUM").to_str().unwrap()).unwrap();
        for flag in FLAGS {
            capabilities.add_arg(flag).unwrap();
        }
        let address = format!("http://127.0.0.1:{port}");
        let driver = WebDriver::new(address, capabilities).await.unwrap();
        driver.goto(url).await.unwrap();
        Self { driver, _chromedriver: chromedriver }
    }

    /// Waits for the element that this selector finds.
    pub(crate) async fn find(&self, selector: &str) -> WebElement {
        self.driver.query(By::Css(selector)).first().await.unwrap()
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    /// Presses a key wherever the focus is.
    pub(crate) async fn press(&self, key: Key) {
        self.driver.action_chain().send_keys(key).perform().await.unwrap();
    }

    /// Presses a key with Shift held down.
    pub(crate) async fn press_with_shift(&self, key: Key) {
        let keys = self.driver.action_chain().key_down(Key::Shift).send_keys(key);
        keys.key_up(Key::Shift).perform().await.unwrap();
    }

    /// What has the focus, as a screen reader says it: its role and its name.
    pub(crate) async fn focused(&self) -> (String, String) {
        let element = self.driver.active_element().await.unwrap();
        let (role, label) = ("computedrole", "computedlabel");
        (self.computed(&element, role).await, self.computed(&element, label).await)
    }

    async fn computed(&self, element: &WebElement, what: &'static str) -> String {
        self.driver.cmd(Computed { element, what }).await.unwrap().value().unwrap()
    }

    pub(crate) async fn close(self) {
        self.driver.quit().await.unwrap();
    }
}
