#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use agent_net::http::fake::{answer, request, serve};
use tokio::io::AsyncWriteExt as _;

use super::*;

#[test]
fn own_finalized_block_is_that_of_the_chains_informant_line() {
    let config = Config::parse("[collator]\nimage = \"a:1\"\n", "agent.toml").unwrap();
    let lines = [
        "[Relaychain] 💤 Idle (1 peers), best: #9 (0x9999…2), finalized #8 (0x8888…1), ⬇ 0 ⬆ 0",
        "💤 Idle (1 peers), best: #7 (0x7777…2), finalized #0 (0x1…2), ⬇ 0 ⬆ 0",
        "another line",
    ];
    let block = OwnBlock {
        height: 8,
        hash: "0x8888…1".to_owned(),
    };
    assert_eq!(
        finalized_blocks(&lines.map(str::to_owned), &config),
        [(Chain::Relaychain, block)]
    );
}

#[tokio::test]
async fn configured_references_are_read_with_their_place_in_the_list() {
    let address = serve(|_, mut stream| async move {
        request(&mut stream).await;
        let page = b"substrate_block_height{status=\"best\"} 5\n";
        stream.write_all(&answer(200, "", page)).await.unwrap();
    })
    .await;
    let text = format!(
        "[collator]\nimage = \"a:1\"\n[chains.relaychain]\n\
         reference = [\"http://{address}/nothing\", \"http://{address}/metrics\"]\n"
    );
    let config = Arc::new(Config::parse(&text, "agent.toml").unwrap());
    let docker = Docker::new(&config).unwrap();
    let clock = AgentClock::starting_at(Time(0));
    let (_probes, mut observations) = Probes::start(&config, clock, &docker).unwrap();
    let mut readings = [None; 2];
    while readings.contains(&None) {
        if let Observation::Reference {
            chain, source, reading, ..
        } = observations.recv().await.unwrap()
        {
            assert_eq!(chain, Chain::Relaychain);
            readings[source] = Some(reading);
        }
    }
    let best = Reading {
        best: Some(5),
        ..Reading::default()
    };
    assert_eq!(readings, [Some(Err(ReferenceError::Unparsable)), Some(Ok(best))]);
}
