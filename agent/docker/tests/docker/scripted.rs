//! An engine that refuses one thing, played: what the adapter makes of it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use agent_config::BindMount;
use agent_core::event::Container;
use agent_docker::{Docker, Error, ImageFault, Inspection, RestartPolicy};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::engine::{config, permit};

const IMAGE_ID: &str = "sha256:1111";

/// What the engine has, and what it refuses.
#[derive(Default)]
struct Script {
    /// The error in the stream of a pull; without one the image is here.
    pull: Option<&'static str>,
    /// Refuses the list of all containers.
    unlistable: bool,
    /// Refuses the list of the containers on certain directories, too.
    filters_refused: bool,
    /// Containers on the directories that were asked for.
    others: Vec<Value>,
    /// The collator's container, once it is created.
    container: Option<Value>,
    /// Where images are kept.
    root: Option<&'static str>,
    /// Size of the container's image, bytes.
    size: i64,
    /// What Docker answers to a stop of which it misses the end, so that the run is listed as going on.
    end_missed: Option<u16>,
    /// Removals by force.
    removals: u32,
    /// For so many updates, a container has ended for runc and runs for Docker.
    ending: u32,
}

impl Script {
    fn answer(&mut self, request: &str, body: &[u8]) -> (u16, Value) {
        let refused = |text: &str| (500, json!({"message": text}));
        let missing = || (404, json!({"message": "no such object"}));
        let path = request.split_once("/v1.45").map_or(request, |(_, path)| path);
        let path = path.split('?').next().unwrap_or_default();
        match path {
            "GET /version" => (200, json!({"ApiVersion": "1.45", "MinAPIVersion": "1.24"})),
            "/images/create" => (200, json!({"errorDetail": {"message": self.pull}, "error": self.pull})),
            "/images/json" => (200, json!([])),
            "/info" => (200, json!({"DockerRootDir": self.root.unwrap_or("/srv/docker")})),
            "/containers/json" if request.contains("volume") && !self.filters_refused => (200, json!(self.others)),
            "/containers/json" if self.unlistable => refused("content digest sha256:3010: not found"),
            "/containers/json" => (200, json!(self.others)),
            "/containers/create" => {
                let labels = serde_json::from_slice::<Value>(body).unwrap()["Labels"].clone();
                self.container = Some(json!({
                    "Id": "0123456789abcdef0123", "Name": "/node", "Image": IMAGE_ID,
                    "Config": {"Image": IMAGE_ID, "Labels": labels},
                    "State": {"Status": "created"},
                }));
                (201, json!({"Id": "0123456789abcdef0123", "Warnings": []}))
            }
            _ if path.ends_with("/start") => {
                let started = json!({"Status": "running", "StartedAt": "2026-11-23T06:24:38Z"});
                self.container.as_mut().unwrap()["State"] = started;
                (204, Value::Null)
            }
            _ if path.ends_with("/stop") => {
                if let Some(status) = self.end_missed {
                    let message =
                        "cannot stop container: 0123: tried to kill container, but did not receive an exit event";
                    return (status, json!({"message": message}));
                }
                self.container.as_mut().unwrap()["State"] = json!({"Status": "exited"});
                (204, Value::Null)
            }
            _ if request.starts_with("DELETE") => {
                let forced = request.contains("force=true");
                let Some(container) = &self.container else {
                    return missing();
                };
                if !forced && container["State"]["Status"] == "running" {
                    return (409, json!({"message": "it runs"}));
                }
                self.container = None;
                self.removals += u32::from(forced);
                (204, Value::Null)
            }
            _ if path.ends_with("/update") && self.ending > 0 => {
                self.ending -= 1;
                refused(
                    "Cannot update container 0123: runc did not terminate successfully: exit status 1: container not running\n: unknown",
                )
            }
            _ if path.ends_with("/update") => (200, json!({"Warnings": []})),
            "/containers/theirs/json" => {
                let config = json!({"Image": IMAGE_ID, "Labels": {}});
                (
                    200,
                    json!({"Id": "3210", "Name": "/theirs", "Image": IMAGE_ID, "Config": config, "State": {"Status": "running"}}),
                )
            }
            "/containers/node/json" => self.container.clone().map_or_else(missing, |found| (200, found)),
            _ if path.contains("1111/json") => (200, json!({"Id": IMAGE_ID, "Size": self.size})),
            "/images/node:1/json" if self.pull.is_none() => (200, json!({"Id": IMAGE_ID})),
            _ => missing(),
        }
    }
}

async fn serve(listener: UnixListener, script: Arc<Mutex<Script>>) {
    loop {
        let (mut peer, _) = listener.accept().await.unwrap();
        let (request, body) = read(&mut peer).await;
        let (status, answer) = script.lock().unwrap().answer(&request, &body);
        let answer = if status == 204 {
            String::new()
        } else {
            answer.to_string()
        };
        let length = answer.len();
        let answer = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: \
             close\r\n\r\n{answer}"
        );
        peer.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// Method with path, and body.
pub(crate) async fn read(peer: &mut UnixStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(peer.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    peer.read_exact(&mut body).await.unwrap();
    let request = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
    (request.to_owned(), body)
}

/// What bringing the collator up ends in; `keystore` is a directory with keys.
async fn ensure_running(script: Script, dir: &Path, keystore: Option<&Path>) -> Result<Inspection, Error> {
    let socket = dir.join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut config = config(&socket, "node", dir);
    config.mounts.extend(keystore.map(|source| BindMount {
        source: source.to_owned(),
        target: "/keystore".into(),
        read_only: false,
    }));
    let docker = Docker::new(&config).unwrap();
    let permit = permit();
    tokio::select! {
        () = serve(listener, Arc::new(Mutex::new(script))) => panic!("serves for ever"),
        ended = docker.ensure_running(&permit) => ended,
    }
}

#[tokio::test]
async fn failed_pull_with_a_full_disk_names_the_image_store() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script {
        pull: Some("failed to register layer: write /usr/lib/x.so: no space left on device"),
        ..Script::default()
    };
    let error = ensure_running(script, dir.path(), None).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("no room for it in docker's image store /srv/docker") && text.contains("docker system df"),
        "{text}"
    );
}

#[tokio::test]
async fn update_without_room_for_the_image_before_it_pulls_nothing() {
    const EIB: i64 = 1 << 60;
    for (root, size, refused) in [("/", EIB, true), ("/", 1, false), ("/no/such/store", EIB, false)] {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let docker = Docker::new(&config(&socket, "node", dir.path())).unwrap();
        let script = Script {
            pull: Some("it was pulled"),
            container: Some(json!({
                "Id": "0123456789abcdef0123", "Name": "/node", "Image": IMAGE_ID,
                "Config": {"Image": IMAGE_ID, "Labels": {"t0rn-agent.managed": "true"}},
                "State": {"Status": "running"},
            })),
            root: Some(root),
            size,
            ..Script::default()
        };
        let error = tokio::select! {
            () = serve(listener, Arc::new(Mutex::new(script))) => panic!("serves for ever"),
            fetched = docker.fetch("node:2") => fetched.unwrap_err().to_string(),
        };
        let text = "are free, and the image before it takes 1099511627776 MiB); make room there (`docker system df`)";
        assert_eq!(error.contains(text), refused, "{root} {size}: {error}");
        assert_eq!(error.contains("it was pulled"), !refused, "{root} {size}: {error}");
    }
}

#[tokio::test]
async fn policy_of_a_container_that_is_just_ending_is_changed() {
    for (ending, changed) in [(2, true), (u32::MAX, false)] {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let docker = Docker::new(&config(&socket, "node", dir.path())).unwrap();
        let script = Script {
            ending,
            ..Script::default()
        };
        let change = async {
            let theirs = docker.existing("theirs").await.unwrap().unwrap();
            docker.set_predecessor_policy(&theirs, &RestartPolicy::no()).await
        };
        let done = tokio::select! {
            () = serve(listener, Arc::new(Mutex::new(script))) => panic!("serves for ever"),
            done = change => done,
        };
        assert_eq!(done.is_ok(), changed, "{done:?}");
    }
}

#[tokio::test]
async fn container_whose_end_docker_missed_is_removed_by_force() {
    for end_missed in [Some(204), Some(500), None] {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let docker = Docker::new(&config(&socket, "node", dir.path())).unwrap();
        let script = Arc::new(Mutex::new(Script {
            end_missed,
            ..Script::default()
        }));
        let permit = permit();
        let restarted = async {
            docker.ensure_running(&permit).await.unwrap();
            let up = docker.restart(&permit).await.unwrap();
            docker.discard().await.unwrap();
            assert_eq!(docker.inspect().await.unwrap().container, Container::Missing);
            up
        };
        let up = tokio::select! {
            () = serve(listener, Arc::clone(&script)) => panic!("serves for ever"),
            up = restarted => up,
        };
        assert!(matches!(up.container, Container::Running { .. }), "{up:?}");
        assert_eq!(script.lock().unwrap().removals, 2 * u32::from(end_missed.is_some()));
    }
}

#[tokio::test]
async fn failed_unpacking_is_no_refused_login() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script {
        pull: Some(
            "failed to register layer: Error processing tar file(exit status 1): open /bin/[: permission denied",
        ),
        ..Script::default()
    };
    let error = ensure_running(script, dir.path(), None).await.unwrap_err();
    let unpack = |fault: &ImageFault| matches!(fault, ImageFault::Unpack(_));
    assert!(matches!(&error, Error::Image { fault, .. } if unpack(fault)), "{error}");
}

#[tokio::test]
async fn an_unlistable_container_elsewhere_does_not_keep_ours_down() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = dir.path().join("keystore");
    std::fs::create_dir(&keystore).unwrap();
    let script = Script {
        unlistable: true,
        ..Script::default()
    };
    let up = ensure_running(script, dir.path(), Some(&keystore)).await.unwrap();
    assert!(matches!(up.container, Container::Running { .. }), "{up:?}");
}

#[tokio::test]
async fn a_container_on_our_keystore_is_found_without_the_list_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = dir.path().join("keystore");
    std::fs::create_dir(&keystore).unwrap();
    let script = Script {
        unlistable: true,
        others: vec![json!({
            "Id": "99", "Names": ["/other"], "State": "running",
            "Mounts": [{"Type": "bind", "Source": keystore, "Destination": "/keys", "RW": true}],
        })],
        ..Script::default()
    };
    let error = ensure_running(script, dir.path(), Some(&keystore)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Occupied { name, .. } if name == "other"),
        "{error}"
    );
}

#[tokio::test]
async fn without_any_list_only_a_collator_without_keys_starts() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = dir.path().join("keystore");
    std::fs::create_dir(&keystore).unwrap();
    let blind = || Script {
        unlistable: true,
        filters_refused: true,
        ..Script::default()
    };
    let error = ensure_running(blind(), dir.path(), Some(&keystore)).await.unwrap_err();
    assert!(error.to_string().contains("could not list the containers"), "{error}");
    std::fs::remove_file(dir.path().join("docker.sock")).unwrap();
    let up = ensure_running(blind(), dir.path(), None).await.unwrap();
    assert!(matches!(up.container, Container::Running { .. }), "{up:?}");
}
