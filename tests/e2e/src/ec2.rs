//! An instance metadata service and an Auto Scaling API on loopback, for one agent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::ready;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use axum::body::Body;
use axum::http::HeaderValue;
use jiff::Timestamp;
use ring::{digest, hmac};

use crate::credentials::CredentialRecorder;
use crate::http_server::{self, Request, answer, redirect};

pub const INSTANCE: &str = "i-0123456789abcdef0";
pub const GROUP: &str = "collators";
/// The Auto Scaling API, beside the documents.
pub const API: &str = "the API";
const REGION: &str = "eu-central-1";
/// Credentials of the instance's role.
pub const ACCESS_KEY: &str = "ASIAEXAMPLE";
pub const SESSION: &str = "session-of-the-role";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// What the metadata service lets in.
pub const TOKEN: &str = "token-of-the-metadata-service";

/// A running pair of services; ends with the process.
#[derive(Debug, Clone)]
pub struct Ec2Emulator {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What there is below `/latest/meta-data/`.
    documents: BTreeMap<String, String>,
    /// When each was first served.
    served: BTreeMap<String, SystemTime>,
    calls: Vec<Call>,
    /// Until when the API knows of no lifecycle action.
    early_until: Option<SystemTime>,
    /// Documents, and the API as [`API`], that are elsewhere.
    moved: BTreeMap<String, String>,
}

/// A call of the Auto Scaling API.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: SystemTime,
    pub action: String,
    /// The form as it came.
    pub form: String,
    /// Whether it was signed with the role's credentials.
    pub signed: bool,
}

impl Ec2Emulator {
    /// An instance in a group, of which nothing is announced.
    ///
    /// # Errors
    /// No port is free.
    pub fn start() -> Result<Self> {
        Self::recorded(Ipv4Addr::LOCALHOST, &CredentialRecorder::default())
    }

    /// As [`Self::start`], on that address; what they are sent as credentials is recorded for the services `metadata` and `api`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn recorded(address: Ipv4Addr, recorder: &CredentialRecorder) -> Result<Self> {
        let credentials = format!(
            r#"{{"Code":"Success","AccessKeyId":"{ACCESS_KEY}","SecretAccessKey":"{SECRET_KEY}","Token":"{SESSION}",
            "Expiration":"2999-01-01T00:00:00Z"}}"#
        );
        let documents = [
            ("instance-id", INSTANCE),
            ("placement/region", REGION),
            ("autoscaling/target-lifecycle-state", "InService"),
            ("events/maintenance/scheduled", "[]"),
            ("tags/instance/aws:autoscaling:groupName", GROUP),
            ("iam/security-credentials/", "role"),
            ("iam/security-credentials/role", &credentials),
        ];
        let documents = documents.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let state = State {
            documents: documents.into(),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let (shared, recorder) = (Arc::clone(&state), recorder.clone());
        let address = http_server::start_at(address, None, move |request| {
            let service = if request.method == "POST" { "api" } else { "metadata" };
            recorder.record(service, &request);
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            ready(state.answer(&request))
        })?;
        Ok(Self { address, state })
    }

    /// The base of both services.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets there be a document.
    pub fn set(&self, path: &str, text: &str) {
        self.state().documents.insert(path.to_owned(), text.to_owned());
    }

    /// Takes it away.
    pub fn remove(&self, path: &str) {
        self.state().documents.remove(path);
    }

    /// Lets the API know of no lifecycle action for so long from now on.
    pub fn set_early(&self, time: Duration) {
        self.state().early_until = Some(SystemTime::now() + time);
    }

    /// Announces that the spot instance ends in so many seconds.
    ///
    /// # Errors
    /// There is no such time.
    pub fn interrupt(&self, seconds: u64) -> Result<()> {
        let time = Timestamp::now().checked_add(Duration::from_secs(seconds))?;
        let document = format!(r#"{{"action": "terminate", "time": "{time:.0}"}}"#);
        self.set("spot/instance-action", &document);
        Ok(())
    }

    /// Sends every later request for a document, or for [`API`], elsewhere.
    pub fn redirect(&self, what: &str, to: &str) {
        self.state().moved.insert(what.to_owned(), to.to_owned());
    }

    /// When a document was first served.
    ///
    /// # Errors
    /// It was not.
    pub fn served(&self, path: &str) -> Result<SystemTime> {
        let served = self.state().served.get(path).copied();
        served.with_context(|| format!("nobody asked for {path}"))
    }

    /// The calls of the API so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> http_server::Answer {
        match request.method.as_str() {
            "PUT" => reply(200, TOKEN),
            "POST" => {
                if let Some(elsewhere) = self.moved.get(API) {
                    return redirect(307, elsewhere);
                }
                let form = request.text();
                self.calls.push(Call {
                    at: SystemTime::now(),
                    action: field(&form, "Action").unwrap_or_default().to_owned(),
                    signed: is_signed(request).is_ok(),
                    form,
                });
                if self.early_until.is_some_and(|until| SystemTime::now() < until) {
                    return reply(
                        400,
                        "<Error><Code>ValidationError</Code><Message>No active Lifecycle Action found</Message></Error>",
                    );
                }
                reply(200, "")
            }
            _ if request.header("x-aws-ec2-metadata-token") != Some(TOKEN) => reply(401, ""),
            _ => {
                let path = request.uri.path().trim_start_matches("/latest/meta-data/").to_owned();
                if let Some(elsewhere) = self.moved.get(&path) {
                    return redirect(302, elsewhere);
                }
                let Some(document) = self.documents.get(&path).cloned() else {
                    return reply(404, "");
                };
                self.served.entry(path).or_insert_with(SystemTime::now);
                reply(200, document)
            }
        }
    }
}

/// What both the metadata service and an API answer.
pub(crate) fn reply(status: u16, body: impl Into<Body>) -> http_server::Answer {
    let mut response = answer(status, body)?;
    let ttl = HeaderValue::from_static("21600");
    response
        .headers_mut()
        .insert("x-aws-ec2-metadata-token-ttl-seconds", ttl);
    Ok(response)
}

/// The value of a field of a form, as it is written.
pub(crate) fn field<'f>(form: &'f str, name: &str) -> Option<&'f str> {
    form.split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

impl Call {
    /// The value of a field of the form, as it is written.
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.form, name)
    }
}

/// Computes the signature anew, as the API does.
fn is_signed(request: &Request) -> Result<()> {
    let header = |name: &str| request.header(name).with_context(|| format!("no {name}"));
    let authorization = header("authorization")?;
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(name).with_context(|| format!("no {name}"))?;
        anyhow::Ok(rest.split(',').next().unwrap_or_default())
    };
    let date = header("x-amz-date")?;
    let scope = format!("{}/{REGION}/autoscaling/aws4_request", &date[..8]);
    ensure!(
        part("Credential=")? == format!("{ACCESS_KEY}/{scope}"),
        "{authorization}"
    );
    ensure!(header("x-amz-security-token")? == SESSION, "another session");
    let names = part("SignedHeaders=")?;
    ensure!(names.split(';').any(|name| name == "host"), "the host is not signed");
    let mut canonical = format!("POST\n{}\n\n", request.uri);
    for name in names.split(';') {
        writeln!(canonical, "{name}:{}", header(name)?)?;
    }
    let hash = |text: &str| hex::encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    write!(canonical, "\n{names}\n{}", hash(&request.text()))?;
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(&canonical));
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut key = mac(format!("AWS4{SECRET_KEY}").as_bytes(), &date[..8]);
    for step in [REGION, "autoscaling", "aws4_request"] {
        key = mac(key.as_ref(), step);
    }
    let signature = hex::encode(mac(key.as_ref(), &text).as_ref());
    ensure!(part("Signature=")? == signature, "signed by another key");
    Ok(())
}
