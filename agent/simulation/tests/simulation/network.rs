//! What one host can reach: its engine, its node's exporters, the metadata service and the EC2 API.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use agent_net::simulation::{Answer, Network};
use bytes::Bytes;
use http::{Request, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::io::{DuplexStream, duplex};
use tokio::time::sleep;

use super::cloud::Attached;
use super::engine::Run;
use super::engine_api::{self, full};
use super::machine::VOLUME;
use super::outside::{REFERENCE, WEBHOOK, reference, webhook};
use super::world::{SECOND, World};

/// Bytes under way on one connection.
const BUFFER: usize = 64 << 10;
const METADATA: &str = "169.254.169.254";

pub(crate) struct HostNetwork {
    pub(crate) world: World,
    pub(crate) host: usize,
}

impl Network for HostNetwork {
    fn connect(&self, address: &str) -> Answer<DuplexStream> {
        let (world, host, address) = (self.world.clone(), self.host, address.to_owned());
        Box::pin(async move {
            let is_engine = {
                let mut state = world.lock();
                let machine = state.machine(host);
                machine.engine_socket().to_str() == Some(&address)
            };
            let (near, far) = duplex(BUFFER);
            if is_engine {
                if !world.lock().machine(host).engine.up {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                let service = service_fn(move |request| engine_api::serve(world.clone(), host, request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(far), service));
                return Ok(near);
            }
            let is_relay = address.ends_with(":9616");
            let page = {
                let mut state = world.lock();
                let now = state.now();
                let chains = state.outside.chains.clone();
                let containers = state.machine(host).engine.containers.iter();
                let mut running = containers.filter(|c| matches!(c.run, Run::Running | Run::Paused));
                match running.next() {
                    Some(found) if found.run == Run::Paused => Ok(None),
                    Some(found) => found.node.page(now, is_relay, &chains),
                    None => Err(()),
                }
            };
            let page = page.map_err(|()| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            let service = service_fn(move |_| {
                let page = page.clone();
                async move {
                    match page {
                        Some(page) => Ok::<_, io::Error>(Response::new(full(page))),
                        None => std::future::pending().await,
                    }
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(far), service));
            Ok(near)
        })
    }

    fn request(&self, request: Request<Bytes>) -> Answer<Response<Bytes>> {
        let (world, host) = (self.world.clone(), self.host);
        Box::pin(async move {
            match request.uri().host().unwrap_or_default() {
                METADATA => metadata(&world, host, &request).await,
                REFERENCE => reference(&world, &request).await,
                WEBHOOK => webhook(&world, &request).await,
                name if name.starts_with("ec2.") => ec2(&world, host, &request).await,
                _ => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

pub(crate) fn response(status: u16, text: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder().status(status).body(text.into()).unwrap()
}

/// No answer, for longer than anybody waits.
pub(crate) async fn silence() -> io::Result<Response<Bytes>> {
    sleep(Duration::from_hours(1)).await;
    Err(io::ErrorKind::TimedOut.into())
}

async fn metadata(world: &World, host: usize, request: &Request<Bytes>) -> io::Result<Response<Bytes>> {
    let is_silent = {
        let mut state = world.lock();
        let now = state.now();
        state.machine(host).no_metadata > now
    };
    if is_silent {
        return silence().await;
    }
    let path = request.uri().path().trim_start_matches("/latest/");
    let mut state = world.lock();
    let wall = state.wall(host);
    let machine = state.machine(host);
    Ok(match path {
        "api/token" => Response::builder()
            .header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
            .body("token".into())
            .unwrap(),
        "meta-data/instance-id" => response(200, machine.instance.clone()),
        "meta-data/placement/region" => response(200, "eu-1"),
        "meta-data/services/domain" => response(200, "sim.internal"),
        "meta-data/instance-life-cycle" => response(200, "spot"),
        "meta-data/iam/security-credentials/" => response(200, "role"),
        "meta-data/iam/security-credentials/role" => {
            let ends = Timestamp::from_millisecond(wall).unwrap() + SignedDuration::from_hours(6);
            let keys = json!({
                "AccessKeyId": "AKIA", "SecretAccessKey": "secret", "Token": "token", "Expiration": ends.to_string(),
            });
            response(200, keys.to_string())
        }
        "meta-data/spot/instance-action" => match state.judge.notice {
            Some((_, at)) => {
                let time = Timestamp::from_millisecond(at / 1000 * 1000).unwrap();
                response(
                    200,
                    json!({ "action": "terminate", "time": time.to_string() }).to_string(),
                )
            }
            None => response(404, ""),
        },
        _ => response(404, ""),
    })
}

async fn ec2(world: &World, host: usize, request: &Request<Bytes>) -> io::Result<Response<Bytes>> {
    let form: HashMap<String, String> = url::form_urlencoded::parse(request.body()).into_owned().collect();
    let (is_silent, wait, fails) = {
        let mut state = world.lock();
        let now = state.now();
        let machine = state.machine(host);
        let (slow, failing, is_silent) = (
            machine.slow_api > now,
            machine.failing_api > now,
            machine.partitioned > now,
        );
        let wait = if slow {
            state.dice.between(2000, 15_000)
        } else {
            state.dice.between(20, 300)
        };
        (is_silent, wait, failing && state.dice.percent(70))
    };
    if is_silent {
        return silence().await;
    }
    // A request takes effect at some moment of its way.
    let before = wait * world.lock().dice.between(0, 100) / 100;
    sleep(Duration::from_millis(before)).await;
    let answer = if fails {
        response(503, error("RequestLimitExceeded"))
    } else {
        carry_out(world, host, &form)
    };
    sleep(Duration::from_millis(wait - before)).await;
    Ok(answer)
}

fn carry_out(world: &World, host: usize, form: &HashMap<String, String>) -> Response<Bytes> {
    let mut state = world.lock();
    let now = state.now();
    let instance = form.get("InstanceId").cloned().unwrap_or_default();
    let done = match form.get("Action").map(String::as_str) {
        Some("DescribeVolumes") => {
            let age = if state.dice.percent(10) {
                state.dice.between(0, 5 * SECOND)
            } else {
                0
            };
            return response(200, describe(state.cloud.as_of(now, age)));
        }
        Some("AttachVolume") => {
            let takes = state.dice.between(1, 8) * SECOND;
            state.cloud.attach(&instance, now, takes)
        }
        Some("DetachVolume") => state.cloud.detach(&instance, now),
        _ => Err("InvalidAction"),
    };
    let action = form.get("Action").cloned().unwrap_or_default();
    state.note_of(host, format!("{action} for {instance}: {done:?}"));
    match done {
        Ok(()) => response(200, "<Done/>"),
        Err(code) => response(400, error(code)),
    }
}

fn error(code: &str) -> String {
    format!("<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors></Response>")
}

fn describe(attached: &Attached) -> String {
    let item = match attached {
        Attached::Free => None,
        Attached::Attaching(instance, _) => Some((instance, "attaching")),
        Attached::To(instance) => Some((instance, "attached")),
        Attached::Detaching(instance) => Some((instance, "busy")),
    };
    let item = item.map_or_else(String::new, |(instance, status)| {
        format!("<item><instanceId>{instance}</instanceId><status>{status}</status></item>")
    });
    format!(
        "<DescribeVolumesResponse><volumeSet><item><volumeId>{VOLUME}</volumeId><attachmentSet>{item}\
         </attachmentSet></item></volumeSet></DescribeVolumesResponse>"
    )
}
