//! A real browser without a window, driven over its `DevTools` protocol.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::repository::cache;
use crate::wait;

/// For any answer of the browser, on a machine that is busy.
const ANSWER: Duration = Duration::from_mins(1);

/// Chromium with one page. When dropped it is killed.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// The program: Debian's Chromium, with or without a window.
    pub fn program() -> Option<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<_> = env::split_paths(&path).collect();
        let names = ["chromium-headless-shell", "chromium"];
        let all = names.iter().flat_map(|name| folders.iter().map(move |f| f.join(name)));
        all.into_iter().find(|p| p.is_file())
    }

    /// The script with the rules of accessibility.
    pub fn axe() -> Option<String> {
        fs::read_to_string(cache().join("axe.js")).ok()
    }

    /// Opens a page. Whether it loads is for the caller to look at.
    ///
    /// # Errors
    /// The browser does not start.
    pub fn open(program: PathBuf, url: &str) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        // It speaks on the descriptors 3 and 4, one message between two zeros.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"#])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--remote-debugging-pipe", "about:blank"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to run sh")?;
        let input = child.stdin.take().context("no input")?;
        let mut output = BufReader::new(child.stdout.take().context("no output")?);
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).is_ok_and(|n| n > 0) {
                bytes.pop();
                let Ok(message) = serde_json::from_slice(&bytes) else {
                    return;
                };
                if sender.send(message).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let mut browser = Self {
            child,
            input,
            messages,
            session: None,
            last: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        browser.attach().context("the browser did not start")?;
        browser.call("Page.navigate", &json!({"url": url}))?;
        Ok(browser)
    }

    fn attach(&mut self) -> Result<()> {
        let page = wait::until("the browser's page", ANSWER, || {
            let targets = self.call("Target.getTargets", &json!({}))?;
            let all = targets["targetInfos"].as_array().context("no targets")?;
            let page = all.iter().find(|target| target["type"] == "page").context("no page")?;
            Ok(page["targetId"].clone())
        })?;
        let session = self.call("Target.attachToTarget", &json!({"targetId": page, "flatten": true}))?;
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Log", "Runtime", "Page"] {
            self.call(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(())
    }

    /// Gives the page this width and a height of a telephone's, in CSS pixels.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn resize(&mut self, width: u32) -> Result<()> {
        let size = json!({"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", &size)?;
        Ok(())
    }

    /// Gives the page this width and `light` or `dark` colours. Returns what it looks like down to the end of the element that
    /// `last` selects, as PNG.
    ///
    /// # Errors
    /// There is no such element, or the browser does not answer.
    pub fn picture(&mut self, width: u32, colours: &str, last: &str) -> Result<Vec<u8>> {
        self.set_dark(colours == "dark")?;
        self.call("Emulation.setScrollbarsHidden", &json!({"hidden": true}))?;
        self.resize(width)?;
        let bottom =
            format!("Math.ceil(scrollY + document.querySelector('{last}').getBoundingClientRect().bottom) + 12");
        let height = self.evaluate(&bottom)?;
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size)?;
        let picture = self.call("Page.captureScreenshot", &json!({"format": "png"}))?;
        let picture = picture["data"].as_str().context("no picture")?;
        Ok(STANDARD.decode(picture)?)
    }

    /// Presses a key, by its name, where the focus is.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn press(&mut self, key: &str) -> Result<()> {
        for kind in ["keyDown", "keyUp"] {
            self.call("Input.dispatchKeyEvent", &json!({"type": kind, "key": key}))?;
        }
        Ok(())
    }

    /// Puts two fingers on these places, CSS pixels, moves them to others, and takes them away.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn pinch(&mut self, from: [(f64, f64); 2], to: [(f64, f64); 2]) -> Result<()> {
        for (kind, fingers) in [("touchStart", &from[..]), ("touchMove", &to), ("touchEnd", &[])] {
            let points: Vec<_> = (0..)
                .zip(fingers)
                .map(|(id, (x, y))| json!({"x": x, "y": y, "id": id}))
                .collect();
            self.call(
                "Input.dispatchTouchEvent",
                &json!({"type": kind, "touchPoints": points}),
            )?;
        }
        Ok(())
    }

    /// Shows the page as to somebody who prefers a dark or a light one.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn set_dark(&mut self, dark: bool) -> Result<()> {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.call("Emulation.setEmulatedMedia", &json!({"features": features}))?;
        Ok(())
    }

    /// What violates the rules of accessibility (WCAG 2.2 AA and best practice) on the page: rule and elements.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn violations(&mut self, axe: &str) -> Result<Vec<String>> {
        self.evaluate(&format!("{axe};0"))?;
        let found = self.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then(({passes, violations}) => [`passed ${passes.length}`, \
             ...violations.map(v => `${v.id}: ${v.nodes.map(node => node.html).join(' ')}`)])",
        )?;
        let mut found: Vec<String> = serde_json::from_value(found)?;
        // A page without anything violates nothing.
        let passed = found.remove(0);
        ensure!(
            passed.strip_prefix("passed ").and_then(|n| n.parse().ok()) > Some(20),
            "{passed}"
        );
        Ok(found)
    }

    /// Loads the page again.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn reload(&mut self) -> Result<()> {
        self.call("Page.reload", &json!({}))?;
        Ok(())
    }

    /// What the expression is on the page, as JSON.
    ///
    /// # Errors
    /// It throws, or the browser does not answer.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let mut answer = self.call(
            "Runtime.evaluate",
            &json!({"expression": expression, "returnByValue": true, "awaitPromise": true}),
        )?;
        ensure!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        Ok(answer["result"]["value"].take())
    }

    /// Waits until the expression is true on the page.
    ///
    /// # Errors
    /// `timeout` passed; tells what the page shows.
    pub fn wait_for(&mut self, expression: &str, timeout: Duration) -> Result<()> {
        wait::until(expression, timeout, || {
            // What does not exist yet is not true yet.
            let met = self.evaluate(&format!(
                "(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()"
            ))?;
            if met == true {
                return Ok(());
            }
            bail!("the page shows: {}", self.evaluate("document.body.innerText")?)
        })
    }

    /// Everything that the browser has found wrong with the page since it was asked last: errors on the console,
    /// exceptions, breaches of the content security policy, requests that failed.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn complaints(&mut self) -> Result<Vec<String>> {
        // Whatever was told before this answer is heard by then.
        self.evaluate("0")?;
        Ok(std::mem::take(&mut self.complaints))
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.input.write_all(&bytes).context("the browser is gone")?;
        let end = Instant::now() + ANSWER;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let mut message = self.messages.recv_timeout(left).context("no answer of the browser")?;
            if message["id"] == self.last {
                ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
                return Ok(message["result"].take());
            }
            self.listen(&message);
        }
    }

    fn listen(&mut self, event: &Value) {
        let params = &event["params"];
        let entry = &params["entry"];
        let wrong = match event["method"].as_str() {
            Some("Log.entryAdded") => {
                let text = format!("{}: {}", entry["source"], entry["text"]);
                // Other tests make and remove interfaces of this host; the page asks again.
                (entry["level"] != "info" && !text.contains("ERR_NETWORK_CHANGED")).then_some(text)
            }
            Some("Runtime.exceptionThrown") => Some(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled") => Some(params["args"].to_string()),
            _ => None,
        };
        self.complaints.extend(wrong);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
