//! A server that answers as Prometheus does, as far as it is asked here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use agent_net::http::fake;

/// Parameters of a request; one that may be repeated has its values joined by newlines.
pub(super) type Params = BTreeMap<String, String>;

/// A server on loopback; each request's path and parameters become a status and a body.
pub(super) async fn serve(answer: impl Fn(&str, &Params) -> (u16, String) + Send + Sync + 'static) -> SocketAddr {
    serve_raw(move |head| {
        let target = head.split(' ').nth(1).unwrap();
        let url = reqwest::Url::parse("http://fake").unwrap().join(target).unwrap();
        let mut params = Params::new();
        for (name, value) in url.query_pairs() {
            let all = params.entry(name.into_owned()).or_default();
            if !all.is_empty() {
                all.push('\n');
            }
            all.push_str(&value);
        }
        let (status, body) = answer(url.path(), &params);
        format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    })
    .await
}

/// A server on loopback; each request's head becomes the bytes of the answer, after which it hangs up.
pub(super) async fn serve_raw(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
    let answer = Arc::new(answer);
    fake::serve(move |_, mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            if let Some(request) = fake::request(&mut stream).await {
                let _ = stream.write_all(answer(&request.head).as_bytes()).await;
            }
        }
    })
    .await
}

/// What a scrape at some moment brought.
#[derive(Debug, Clone, Copy)]
pub(super) enum ScrapeResult {
    /// Best and target; eight peers.
    Page(u64, u64),
    /// A page that has nothing of a node.
    Foreign,
    Failed,
}

/// An exporter that a server scrapes.
#[derive(Debug, Clone)]
pub(super) struct Exporter {
    pub(super) prefix: &'static str,
    pub(super) instance: &'static str,
    pub(super) job: &'static str,
    pub(super) chain: &'static str,
    pub(super) is_relay: bool,
}

/// A server that has scraped some exporters.
pub(super) struct World {
    pub(super) exporters: Vec<Exporter>,
    /// What the scrapes of each exporter brought, by Unix second.
    pub(super) scrapes: Vec<BTreeMap<u64, ScrapeResult>>,
    pub(super) has_up: bool,
    /// Steps of each range query, as asked: first, last, step.
    pub(super) asked: Arc<Mutex<Vec<(f64, f64, f64)>>>,
}

/// Prometheus takes the newest sample of at most so many seconds ago.
const LOOKBACK: u64 = 300;

impl World {
    pub(super) async fn serve(self) -> SocketAddr {
        serve(move |path, params| {
            let data = match path {
                "/api/v1/series" => json!(self.series(&params["match[]"])),
                "/api/v1/query_range" => self.range(params),
                _ => return (404, "404 page not found".to_owned()),
            };
            (200, json!({"status": "success", "data": data}).to_string())
        })
        .await
    }

    fn series(&self, selectors: &str) -> Vec<Value> {
        let mut all = Vec::new();
        for exporter in &self.exporters {
            let mut names = vec![format!("{}_block_height", exporter.prefix)];
            if exporter.is_relay {
                names.push("polkadot_parachain_collations_generated_total".to_owned());
            }
            if self.has_up {
                names.push("up".to_owned());
            }
            let matches = |name: &String| selectors.lines().any(|s| selects(s, name, exporter));
            all.extend(names.iter().filter(|n| matches(n)).map(|n| labels(n, exporter)));
        }
        all
    }

    fn range(&self, params: &Params) -> Value {
        let number = |name: &str| params[name].parse::<f64>().unwrap();
        let (first, last, step) = (number("start"), number("end"), number("step"));
        self.asked.lock().unwrap().push((first, last, step));
        let query = &params["query"];
        let (clock, query) = match query.strip_prefix("timestamp(") {
            Some(inner) => (true, inner.trim_end_matches(')')),
            None => (false, query.as_str()),
        };
        let mut result = Vec::new();
        for (number, exporter) in self.exporters.iter().enumerate() {
            for (suffix, own) in [
                ("up", json!({})),
                ("block_height", json!({"status": "best"})),
                ("block_height", json!({"status": "sync_target"})),
                ("sub_libp2p_peers_count", json!({})),
            ] {
                let name = if suffix == "up" {
                    suffix.to_owned()
                } else {
                    format!("{}_{suffix}", exporter.prefix)
                };
                if !selects(query, &name, exporter) || (name == "up" && !self.has_up) {
                    continue;
                }
                let mut values = Vec::new();
                let mut at = first;
                while at <= last {
                    let value = self.at(number, suffix, own["status"].as_str(), at, clock);
                    values.extend(value.map(|value| json!([at, value.to_string()])));
                    at += step;
                }
                let mut metric = labels(&name, exporter);
                metric.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
                if clock {
                    metric.as_object_mut().unwrap().remove("__name__");
                }
                if !values.is_empty() {
                    result.push(json!({"metric": metric, "values": values}));
                }
            }
        }
        json!({"resultType": "matrix", "result": result})
    }

    /// The value of a series at a time, or the time of that value.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "Unix seconds")]
    fn at(&self, number: usize, suffix: &str, status: Option<&str>, at: f64, clock: bool) -> Option<u64> {
        let at = at as u64;
        let (then, scrape) = self.scrapes[number].range(at - LOOKBACK..=at).next_back()?;
        let value = match (*scrape, suffix, status) {
            (ScrapeResult::Failed, "up", _) => 0,
            (_, "up", _) => 1,
            (ScrapeResult::Page(best, _), _, Some("best")) => best,
            (ScrapeResult::Page(_, target), _, Some(_)) => target,
            (ScrapeResult::Page(..), _, None) => 8,
            // A failed scrape ends every other series at once.
            (ScrapeResult::Failed | ScrapeResult::Foreign, ..) => return None,
        };
        Some(if clock { *then } else { value })
    }
}

fn labels(name: &str, exporter: &Exporter) -> Value {
    let Exporter {
        instance, job, chain, ..
    } = exporter;
    match name {
        "up" => json!({"__name__": "up", "instance": instance, "job": job}),
        _ => json!({"__name__": name, "instance": instance, "job": job, "chain": chain}),
    }
}

/// Whether a selector of the kinds that are written here selects a series.
fn selects(selector: &str, name: &str, exporter: &Exporter) -> bool {
    let (before, matchers) = selector.split_once('{').unwrap();
    let names = matchers
        .split("__name__=~\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let shown = match names {
        None => before == name,
        Some(".+_block_height") => name.ends_with("_block_height"),
        // The last part is `prefix_(a|b)`.
        Some(names) => match names.split_once("_(") {
            Some((up_and_prefix, suffixes)) => {
                let prefix = up_and_prefix.trim_start_matches("up|");
                let suffix = name.strip_prefix(prefix).and_then(|n| n.strip_prefix('_'));
                name == "up" || suffix.is_some_and(|s| suffixes.trim_end_matches(')').split('|').any(|n| n == s))
            }
            None => names.split('|').any(|n| n == name),
        },
    };
    let fits = |label: &str, value: &str| {
        let wanted = |op: &str| matchers.split(&format!("{label}{op}\"")).nth(1)?.split('"').next();
        wanted("=").is_none_or(|w| w == value)
            && wanted("=~").is_none_or(|w| {
                let host = w.trim_end_matches("(:[0-9]+)?").replace("\\\\.", ".");
                value == host || value.starts_with(&format!("{host}:"))
            })
    };
    shown
        && fits("instance", exporter.instance)
        && fits("job", exporter.job)
        && (name == "up" || fits("chain", exporter.chain))
}
