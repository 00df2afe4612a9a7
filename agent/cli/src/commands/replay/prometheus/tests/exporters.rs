//! Which exporters are taken, and what is said where that is not clear.

use super::*;

const OTHER: Exporter = Exporter {
    instance: "10.0.0.6:7001",
    ..PARACHAIN
};
const OTHER_RELAY: Exporter = Exporter {
    instance: "10.0.0.6:9616",
    ..RELAYCHAIN
};
const VALIDATOR: Exporter = Exporter {
    instance: "validator:9615",
    job: "validators",
    ..RELAYCHAIN
};

async fn server(exporters: &[Exporter]) -> HistoryQuery {
    let world = World {
        exporters: exporters.to_vec(),
        ..world(15, |since, is_relay| Some(moving(since, is_relay)))
    };
    query(world.serve().await)
}

async fn chosen(query: &HistoryQuery, config: &Config) -> Result<Vec<(&'static str, String)>, String> {
    let mut client = client(query);
    let mut search = ExporterSearch {
        client: &mut client,
        query,
        configured: &config.chains,
        from: 0,
        to: 1,
    };
    let targets = search.find_pair().await.map_err(|e| format!("{e:#}"))?;
    Ok(targets
        .into_iter()
        .map(|(c, t)| (c.into_str(), t.to_string()))
        .collect())
}

fn default() -> Config {
    Config::parse(agent_config::DEFAULT, "default").unwrap()
}

fn prefixed(prefix: &str) -> Config {
    let mut config = default();
    config
        .chains
        .values_mut()
        .for_each(|e| prefix.clone_into(&mut e.prefix));
    config
}

fn both(parachain: &Exporter, relaychain: &Exporter) -> Result<Vec<(&'static str, String)>, String> {
    let label = |e: &Exporter| format!("instance=\"{}\",job=\"{}\",chain=\"{}\"", e.instance, e.job, e.chain);
    Ok(vec![("parachain", label(parachain)), ("relaychain", label(relaychain))])
}

#[tokio::test]
async fn only_pair_is_chosen_and_distinguished_by_metrics() {
    for exporters in [[PARACHAIN, RELAYCHAIN], [RELAYCHAIN, PARACHAIN]] {
        let query = server(&exporters).await;
        assert_eq!(chosen(&query, &default()).await, both(&PARACHAIN, &RELAYCHAIN));
    }
    // Ports that the server does not keep: one target label for both, the exporters' own tell them apart.
    let (para, relay) = (
        Exporter {
            instance: "c",
            ..PARACHAIN
        },
        Exporter {
            instance: "c",
            ..RELAYCHAIN
        },
    );
    let query = server(&[para.clone(), relay.clone()]).await;
    assert_eq!(chosen(&query, &default()).await, both(&para, &relay));
}

#[tokio::test]
async fn one_chain_alone_is_enough() {
    let query = server(&[PARACHAIN]).await;
    assert_eq!(chosen(&query, &default()).await.unwrap().len(), 1);
    // And a configuration that watches one chain judges one.
    let mut config = default();
    config.chains.remove(&Chain::Relaychain);
    let query = server(&[PARACHAIN, RELAYCHAIN]).await;
    assert_eq!(chosen(&query, &config).await.unwrap().len(), 1);
}

#[tokio::test]
async fn relay_chain_on_the_same_host_is_chosen() {
    let query = server(&[VALIDATOR, RELAYCHAIN, PARACHAIN]).await;
    assert_eq!(chosen(&query, &default()).await, both(&PARACHAIN, &RELAYCHAIN));
}

#[tokio::test]
async fn several_nodes_are_listed_with_options_to_choose() {
    let mut query = server(&[PARACHAIN, RELAYCHAIN, OTHER, OTHER_RELAY]).await;
    let error = chosen(&query, &default()).await.unwrap_err();
    assert!(
        error.contains("several nodes match; choose one with --instance HOST"),
        "{error}"
    );
    for line in [
        "\n  parachain    instance=\"10.0.0.5:7001\",job=\"collators\",chain=\"t0rn\"",
        "\n  relay chain  instance=\"10.0.0.6:9616\",job=\"collators\",chain=\"rococo\"",
    ] {
        assert!(error.contains(line), "{error}");
    }
    query.instance = Some("10.0.0.6".to_owned());
    assert_eq!(chosen(&query, &default()).await, both(&OTHER, &OTHER_RELAY));
    query.instance = None;
    query.parachain = Some("{instance=\"10.0.0.6:7001\",}".to_owned());
    assert_eq!(chosen(&query, &default()).await, both(&OTHER, &OTHER_RELAY));
    query.relaychain = Some("instance=\"10.0.0.5:9616\"".to_owned());
    assert_eq!(chosen(&query, &default()).await, both(&OTHER, &RELAYCHAIN));
    query.parachain = None;
    assert_eq!(chosen(&query, &default()).await, both(&PARACHAIN, &RELAYCHAIN));
}

#[tokio::test]
async fn selector_of_several_or_no_exporters_is_an_error() {
    let mut query = server(&[PARACHAIN, RELAYCHAIN, VALIDATOR]).await;
    query.parachain = Some("job=\"collators\"".to_owned());
    let error = chosen(&query, &default()).await.unwrap_err();
    assert!(
        error.contains("--parachain job=\"collators\" selects several exporters"),
        "{error}"
    );
    query.parachain = Some("job=\"nobody\"".to_owned());
    let error = chosen(&query, &default()).await.unwrap_err();
    let tried = "--parachain: no series {__name__=~\"substrate_block_height\",job=\"nobody\"} within the last 2h";
    assert!(error.contains(tried), "{error}");
    query.parachain = Some("instance=\"10.0.0.5:7001\"".to_owned());
    query.relaychain = query.parachain.clone();
    let error = chosen(&query, &default()).await.unwrap_err();
    assert!(error.contains("select the same exporter"), "{error}");
}

#[tokio::test]
async fn missing_series_error_names_query_and_remedy() {
    let mut query = server(&[PARACHAIN, RELAYCHAIN]).await;
    query.selector = Some("job=\"nodes\"".to_owned());
    let error = chosen(&query, &default()).await.unwrap_err();
    assert!(
        error.contains("no series {__name__=~\"substrate_block_height\",job=\"nodes\"} within the last 2h")
            && error.contains("Instances with such a series: 10.0.0.5:7001, 10.0.0.5:9616"),
        "{error}"
    );
    let error = chosen(&server(&[]).await, &default()).await.unwrap_err();
    assert!(
        error.contains("does this server scrape the collator's exporters?"),
        "{error}"
    );
}

#[tokio::test]
async fn prefix_comes_from_configuration_and_is_suggested_otherwise() {
    let (para, relay) = (
        Exporter {
            prefix: "moonbeam",
            ..PARACHAIN
        },
        Exporter {
            prefix: "moonbeam",
            ..RELAYCHAIN
        },
    );
    let query = server(&[para.clone(), relay.clone(), OTHER]).await;
    assert_eq!(chosen(&query, &prefixed("moonbeam")).await, both(&para, &relay));
    let query = server(&[para, relay]).await;
    let error = chosen(&query, &default()).await.unwrap_err();
    assert!(
        error.contains("but moonbeam_block_height: write prefix = \"moonbeam\""),
        "{error}"
    );
}
