//! Finds the series of the collator on a server: one exporter for each chain.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use anyhow::bail;

use agent_config::ExporterConfig;
use agent_core::event::Chain;

use super::super::args::HistoryQuery;
use super::client::{Labels, PrometheusClient};

/// Metrics that only a relay chain's exporter has: of the collator protocol, and of finality (after the prefix).
const RELAY_COLLATION: &str = "polkadot_parachain_collations_generated_total";
const RELAY_FINALITY: &str = "_finality_grandpa_round";
const HEIGHT: &str = "_block_height";
/// Exporters that an error names at most.
const MAX_LISTED: usize = 20;

/// One exporter's series on the server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExporterSeries {
    pub(super) prefix: String,
    instance: String,
    job: String,
    /// The exporter's own label.
    chain: Option<String>,
    is_relay: bool,
    /// Whether the server keeps the success of each scrape (`up`).
    pub(super) has_up: bool,
}

impl ExporterSeries {
    /// One without labels of its own.
    #[cfg(any(test, fuzzing))]
    pub(super) fn named(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            instance: "collator-1".to_owned(),
            job: "collators".to_owned(),
            chain: None,
            is_relay: false,
            has_up: true,
        }
    }

    /// Matchers of the labels that the server adds to all series of this exporter.
    pub(super) fn matchers(&self) -> String {
        format!("job={},instance={}", quoted(&self.job), quoted(&self.instance))
    }

    /// Whether a series with these labels belongs to this exporter: another one's labels may differ in the chain only.
    pub(super) fn owns(&self, labels: &Labels) -> bool {
        let chain = labels.get("chain");
        chain.is_none() || self.chain.is_none() || chain == self.chain.as_ref()
    }

    fn host(&self) -> &str {
        let port = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match self.instance.rsplit_once(':') {
            Some((host, after)) if port(after) => host,
            _ => &self.instance,
        }
    }
}

impl fmt::Display for ExporterSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instance={},job={}", quoted(&self.instance), quoted(&self.job))?;
        match &self.chain {
            Some(chain) => write!(f, ",chain={}", quoted(chain)),
            None => Ok(()),
        }
    }
}

/// Search for the exporters of one collator.
#[derive(Debug)]
pub(super) struct ExporterSearch<'a> {
    pub(super) client: &'a mut PrometheusClient,
    pub(super) query: &'a HistoryQuery,
    /// The chains that are judged, and the prefixes of their metrics.
    pub(super) configured: &'a BTreeMap<Chain, ExporterConfig>,
    /// Unix milliseconds.
    pub(super) from: u64,
    pub(super) to: u64,
}

impl ExporterSearch<'_> {
    /// Finds the exporters of one collator: those that were else the only ones that match.
    ///
    /// Fails when none or several nodes match; the error lists them with the options to choose.
    pub(super) async fn find_pair(&mut self) -> anyhow::Result<BTreeMap<Chain, ExporterSeries>> {
        let query = self.query;
        let [parachain, relaychain] = [&query.parachain, &query.relaychain].map(|s| s.as_deref());
        let mut parachain = self.named(parachain, "--parachain").await?;
        let mut relaychain = self.named(relaychain, "--relaychain").await?;
        if parachain.is_none() || relaychain.is_none() {
            let all = self.find_all(None).await?;
            let chain = |t: &ExporterSeries| {
                if t.is_relay {
                    Chain::Relaychain
                } else {
                    Chain::Parachain
                }
            };
            let all = all.into_iter().filter(|t| self.configured.contains_key(&chain(t)));
            let (relays, parachains): (Vec<_>, Vec<_>) = all.partition(|t| t.is_relay);
            match (&parachain, &relaychain) {
                (None, None) => {
                    parachain = only(&parachains, None, &relays)?;
                    relaychain = only(&relays, parachain.as_ref(), &parachains)?;
                }
                (Some(_), None) => relaychain = only(&relays, parachain.as_ref(), &[])?,
                (None, Some(_)) => parachain = only(&parachains, relaychain.as_ref(), &[])?,
                (Some(_), Some(_)) => {}
            }
        }
        if parachain.is_some() && parachain == relaychain {
            bail!(
                "--parachain and --relaychain select the same exporter; name the ports of both: instance=\"HOST:PORT\""
            );
        }
        let chosen = [(Chain::Parachain, parachain), (Chain::Relaychain, relaychain)];
        let mut exporters: BTreeMap<_, _> = chosen.into_iter().filter_map(|(c, t)| Some((c, t?))).collect();
        if exporters.is_empty() {
            return Err(self.none_found().await);
        }
        for exporter in exporters.values_mut() {
            let up = format!("up{{{}}}", exporter.matchers());
            exporter.has_up = !self.client.series(&[up], self.from, self.to).await?.is_empty();
        }
        Ok(exporters)
    }

    async fn named(&mut self, selector: Option<&str>, option: &str) -> anyhow::Result<Option<ExporterSeries>> {
        let Some(selector) = selector else { return Ok(None) };
        let mut found = self.find_all(Some(selector)).await?;
        match found.len() {
            0 => {
                let (tried, days) = (
                    selector_of(&self.names(HEIGHT), &self.restrictions(Some(selector))),
                    self.span(),
                );
                bail!("{option}: no series {tried} within the last {days}; correct the selector");
            }
            1 => Ok(found.pop()),
            _ => bail!(
                "{option} {selector} selects several exporters; select by instance=\"HOST:PORT\":{}",
                list_exporters(&found)
            ),
        }
    }

    /// All exporters that match, each once, in order.
    async fn find_all(&mut self, selector: Option<&str>) -> anyhow::Result<Vec<ExporterSeries>> {
        let restrictions = self.restrictions(selector);
        let relay = format!("{RELAY_COLLATION}|{}", self.names(RELAY_FINALITY));
        let selectors = [self.names(HEIGHT), relay].map(|names| selector_of(&names, &restrictions));
        let mut relays = BTreeSet::new();
        let mut found = BTreeSet::new();
        for mut labels in self.client.series(&selectors, self.from, self.to).await? {
            let mut take = |name: &str| labels.remove(name);
            let name = take("__name__").unwrap_or_default();
            let key = (
                take("instance").unwrap_or_default(),
                take("job").unwrap_or_default(),
                take("chain"),
            );
            match name.strip_suffix(HEIGHT) {
                Some(prefix) => drop(found.insert((prefix.to_owned(), key))),
                None => drop(relays.insert(key)),
            }
        }
        let exporter = |(prefix, key): (String, (String, String, Option<String>))| {
            let is_relay = relays.contains(&key);
            let (instance, job, chain) = key;
            ExporterSeries {
                prefix,
                instance,
                job,
                chain,
                is_relay,
                has_up: false,
            }
        };
        Ok(found.into_iter().map(exporter).collect())
    }

    async fn none_found(&mut self) -> anyhow::Error {
        let (restrictions, days) = (self.restrictions(None), self.span());
        let tried = selector_of(&self.names(HEIGHT), &restrictions);
        let any = selector_of(&format!(".+{HEIGHT}"), &restrictions);
        let others = match self.client.series(&[any], self.from, self.to).await {
            Ok(others) => others,
            Err(fault) => return fault.into(),
        };
        let other = others.iter().find_map(|l| l.get("__name__")?.strip_suffix(HEIGHT));
        if let Some(other) = other {
            return anyhow::anyhow!(
                "no series {tried} within the last {days}, but {other}{HEIGHT}: write prefix = \"{other}\" under \
                 [chains.parachain] and [chains.relaychain] of a configuration, and name it with --config"
            );
        }
        if restrictions.is_empty() {
            return anyhow::anyhow!(
                "no series {tried} within the last {days}; does this server scrape the collator's exporters? See its \
                 /targets page"
            );
        }
        let all = selector_of(&self.names(HEIGHT), &[]);
        let all = self.client.series(&[all], self.from, self.to).await.unwrap_or_default();
        let instances: BTreeSet<_> = all.iter().filter_map(|l| l.get("instance")).collect();
        let there: Vec<_> = instances.into_iter().take(MAX_LISTED).map(String::as_str).collect();
        let there = if there.is_empty() {
            "none".to_owned()
        } else {
            there.join(", ")
        };
        anyhow::anyhow!(
            "no series {tried} within the last {days}; correct --selector or --instance. Instances with such a series: {there}"
        )
    }

    /// A metric's names with each prefix, as a regular expression.
    fn names(&self, suffix: &str) -> String {
        let names: BTreeSet<_> = self
            .configured
            .values()
            .map(|e| format!("{}{suffix}", e.prefix))
            .collect();
        Vec::from_iter(names).join("|")
    }

    fn restrictions(&self, selector: Option<&str>) -> Vec<String> {
        let bare = |s: &str| {
            let inner = s.trim().strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            inner.unwrap_or(s).trim().trim_end_matches(',').to_owned()
        };
        let given = [self.query.selector.as_deref(), selector].into_iter().flatten();
        let mut all: Vec<_> = given.map(bare).filter(|s| !s.is_empty()).collect();
        if let Some(instance) = &self.query.instance {
            all.push(format!(
                "instance=~{}",
                quoted(&format!("{}(:[0-9]+)?", escape_regex(instance)))
            ));
        }
        all
    }

    fn span(&self) -> String {
        agent_config::show_duration(self.query.since)
    }
}

/// The only candidate, or the only one on the host of `peer`; `None` when there is none.
fn only(
    candidates: &[ExporterSeries],
    peer: Option<&ExporterSeries>,
    others: &[ExporterSeries],
) -> anyhow::Result<Option<ExporterSeries>> {
    if candidates.len() <= 1 {
        return Ok(candidates.first().cloned());
    }
    let beside: Vec<_> = candidates
        .iter()
        .filter(|c| peer.is_some_and(|p| p.host() == c.host()))
        .collect();
    if let [one] = beside[..] {
        return Ok(Some(one.clone()));
    }
    let mut all = [candidates, others].concat();
    all.sort_by(|a, b| (a.host(), a.is_relay).cmp(&(b.host(), b.is_relay)));
    bail!(
        "several nodes match; choose one with --instance HOST or --selector 'job=\"…\"', or name its exporters with \
         --parachain 'instance=\"HOST:PORT\"' and --relaychain 'instance=\"HOST:PORT\"':{}",
        list_exporters(&all)
    )
}

fn list_exporters(exporters: &[ExporterSeries]) -> String {
    let line = |t: &ExporterSeries| {
        let side = if t.is_relay { "relay chain" } else { "parachain" };
        format!("\n  {side:<11}  {t}")
    };
    let mut text: String = exporters.iter().take(MAX_LISTED).map(line).collect();
    if exporters.len() > MAX_LISTED {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  and {} more", exporters.len() - MAX_LISTED);
    }
    text
}

fn selector_of(names: &str, restrictions: &[String]) -> String {
    let mut matchers = vec![format!("__name__=~{}", quoted(names))];
    matchers.extend_from_slice(restrictions);
    format!("{{{}}}", matchers.join(","))
}

fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
    )
}

/// A regular expression that matches only this text.
fn escape_regex(text: &str) -> String {
    let escaped = |c: char| {
        let special = "\\.+*?()|[]{}^$".contains(c);
        special.then_some('\\').into_iter().chain([c])
    };
    text.chars().flat_map(escaped).collect()
}
