//! A world for one test: an engine, an image of its own, a configuration, and hands from outside.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agent_config::{
    AgentConfig, CollatorConfig, Config, Confinement, DataConfig, Ec2Config, HealthConfig, HostConfig, MetricsConfig,
    NotifyConfig, NotifyFormat, PullPolicy, RestartConfig, UpdateConfig,
};
use agent_core::event::{Container, DesiredSpec};
use agent_docker::{Docker, EngineEvent, Inspection, KeyPermit};
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig as ContainerHost, Mount, MountType};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptions,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures_util::{Stream, StreamExt, TryStreamExt};

/// Longest wait for anything: generous, because a wait that ends here is a failed test.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct World {
    /// The engine's API without the adapter: the hands from outside.
    pub(crate) hands: bollard::Docker,
    pub(crate) config: Config,
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    /// `None`, with the reason printed, when there is no engine or no compiler for the image.
    pub(crate) async fn new() -> Option<Self> {
        let socket =
            std::env::var_os("T0RN_TEST_DOCKER").map_or_else(|| PathBuf::from("/var/run/docker.sock"), PathBuf::from);
        if !socket.exists() {
            skip(&format!("no engine at {} (set T0RN_TEST_DOCKER)", socket.display()));
            return None;
        }
        Self::at(&socket).await
    }

    pub(crate) async fn at(socket: &Path) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Some(puppet) = puppet() else {
            skip("no C compiler that links statically, for the image");
            return None;
        };
        let hands = bollard::Docker::connect_with_unix(
            socket.to_str().unwrap(),
            PATIENCE.as_secs(),
            bollard::API_DEFAULT_VERSION,
        )
        .unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("t0rn-agent-test-{}-{number:03}", std::process::id());
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(&name)
            .tag("1")
            .changes(vec!["ENTRYPOINT [\"/puppet\"]".to_owned()])
            .build();
        let body = bollard::body_full(puppet.into());
        hands
            .create_image(Some(options), Some(body), None)
            .try_collect::<Vec<_>>()
            .await
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = config(socket, &name, dir.path());
        Some(Self { hands, config, dir })
    }

    pub(crate) fn docker(&self) -> Docker {
        Docker::new(&self.config).unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        &self.config.collator.container
    }

    /// What the collator's process does: see `puppet.c`.
    pub(crate) fn acts(&mut self, command: &[&str]) {
        self.config.collator.command = command.iter().map(|word| (*word).to_owned()).collect();
    }

    /// What Docker itself says about our container.
    pub(crate) async fn seen(&self) -> ContainerInspectResponse {
        self.hands.inspect_container(self.name(), None).await.unwrap()
    }

    /// Names of the running containers that were made in this world.
    pub(crate) async fn running(&self) -> Vec<String> {
        let all = self.hands.list_containers(None).await.unwrap();
        let names = all.into_iter().filter_map(|one| one.names).flatten();
        names
            .map(|name| name.trim_start_matches('/').to_owned())
            .filter(|n| n.starts_with(self.name()))
            .collect()
    }

    /// Running, and past the first line of its program: a signal sent earlier would be lost on it.
    pub(crate) async fn up(&self, docker: &Docker) -> Inspection {
        let up = docker.ensure_running(&permit()).await.unwrap();
        let mut log = Box::pin(docker.logs(1, true));
        tokio::time::timeout(PATIENCE, log.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        up
    }

    /// `docker run` of a container that is not ours, with a source that is mounted in it, and whether read-only.
    pub(crate) async fn run_foreign(&self, name: &str, mount: Option<(&Path, bool)>) {
        let mounts = mount.map(|(source, read_only)| {
            vec![Mount {
                typ: Some(MountType::BIND),
                source: Some(source.display().to_string()),
                target: Some("/data".to_owned()),
                read_only: Some(read_only),
                ..Mount::default()
            }]
        });
        let body = ContainerCreateBody {
            image: Some(self.config.collator.image.clone()),
            host_config: Some(ContainerHost {
                mounts,
                network_mode: Some("none".into()),
                ..ContainerHost::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        self.hands.create_container(Some(options), body).await.unwrap();
        self.hands.start_container(name, None).await.unwrap();
    }

    /// `docker rm -f` of our container.
    pub(crate) async fn remove(&self) {
        self.remove_named(self.name()).await;
    }

    pub(crate) async fn remove_named(&self, name: &str) {
        let force = RemoveContainerOptionsBuilder::default().force(true).build();
        self.hands.remove_container(name, Some(force)).await.unwrap();
    }

    /// `docker rmi -f`
    pub(crate) async fn remove_image(&self, image: &str) {
        let force = RemoveImageOptionsBuilder::default().force(true).build();
        self.hands.remove_image(image, Some(force), None).await.unwrap();
    }
}

/// Containers and image go with the world, whether the test held or not.
impl Drop for World {
    fn drop(&mut self) {
        let (hands, name) = (self.hands.clone(), self.name().to_owned());
        let clean = async move {
            let all = ListContainersOptionsBuilder::default().all(true).build();
            let ours = hands.list_containers(Some(all)).await.unwrap_or_default().into_iter();
            for one in ours.filter(|one| one.names.iter().flatten().any(|other| other.contains(&name))) {
                let force = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
                let _ = hands.remove_container(&one.id.unwrap_or_default(), Some(force)).await;
            }
            let images = hands.list_images(None::<ListImagesOptions>).await.unwrap_or_default();
            for image in images.iter().filter(|one| {
                one.repo_tags
                    .iter()
                    .chain(&one.repo_digests)
                    .any(|tag| tag.contains(&name))
            }) {
                let force = RemoveImageOptionsBuilder::default().force(true).build();
                let _ = hands.remove_image(&image.id, Some(force), None).await;
            }
        };
        let block = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(clean);
        };
        let _ = std::thread::spawn(block).join();
    }
}

/// What a host without an identity fence gives out.
pub(crate) fn permit() -> KeyPermit {
    KeyPermit::new(tokio::sync::watch::channel(true).1)
}

pub(crate) struct Watch {
    notices: Pin<Box<dyn Stream<Item = EngineEvent> + Send>>,
    seen: Vec<EngineEvent>,
}

impl Watch {
    pub(crate) fn of(docker: &Docker) -> Self {
        Self::since(docker, None)
    }

    pub(crate) fn since(docker: &Docker, moment: Option<i64>) -> Self {
        Self {
            notices: Box::pin(docker.watch(moment, tokio::sync::watch::channel(DesiredSpec::default()).1)),
            seen: Vec::new(),
        }
    }

    /// The next notice that `wanted` takes to be the one; panics with everything seen when none comes.
    pub(crate) async fn until<T>(&mut self, what: &str, wanted: impl Fn(&EngineEvent) -> Option<T>) -> T {
        let from = self.seen.len();
        loop {
            let Ok(next) = tokio::time::timeout(PATIENCE, self.notices.next()).await else {
                panic!("no {what} came, but {:#?}", &self.seen[from..]);
            };
            self.seen.push(next.unwrap());
            if let Some(found) = wanted(self.seen.last().unwrap()) {
                return found;
            }
        }
    }

    pub(crate) async fn container<T>(&mut self, what: &str, wanted: impl Fn(&Container) -> Option<T>) -> T {
        let wanted = |notice: &EngineEvent| match notice {
            EngineEvent::Container(container) => wanted(container),
            _ => None,
        };
        self.until(what, wanted).await
    }

    pub(crate) async fn running(&mut self) -> i64 {
        let wanted = |container: &Container| match container {
            Container::Running {
                started_at,
                spec_matches: true,
            } => *started_at,
            _ => None,
        };
        self.container("running", wanted).await
    }

    /// Everything that has come so far.
    pub(crate) fn seen(&self) -> &[EngineEvent] {
        &self.seen
    }
}

/// Reports why a test does not run: on standard output, and in the file that `T0RN_SKIP_FILE` names.
pub(crate) fn skip(reason: &str) {
    let name = std::env::var("NEXTEST_TEST_NAME").ok();
    let thread = std::thread::current();
    let name = name.as_deref().or(thread.name()).unwrap_or("a test");
    let line = format!("SKIPPED: {name}: {reason}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    if let Some(file) = std::env::var_os("T0RN_SKIP_FILE") {
        let mut file = File::options().create(true).append(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// The image as a tar file: one static binary, compiled once.
fn puppet() -> Option<&'static [u8]> {
    static IMAGE: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let build = || {
        let dir = tempfile::tempdir().unwrap();
        let cc = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let mut compiler = Command::new(cc)
            .args(["-static", "-Os", "-x", "c", "-", "-o", "puppet"])
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .spawn()
            .ok()?;
        compiler.stdin.take()?.write_all(include_bytes!("puppet.c")).ok()?;
        let built = compiler.wait().ok()?.success();
        let packed = Command::new("tar")
            .args(["c", "puppet"])
            .current_dir(&dir)
            .output()
            .ok()?;
        (built && packed.status.success()).then_some(packed.stdout)
    };
    IMAGE.get_or_init(build).as_deref()
}

pub(crate) fn config(docker: &Path, name: &str, dir: &Path) -> Config {
    let minutes = Duration::from_mins;
    Config {
        agent: AgentConfig {
            state_dir: dir.join("state"),
            socket: dir.join("agent.sock"),
            docker: docker.to_owned(),
        },
        collator: CollatorConfig {
            image: format!("{name}:1"),
            container: name.to_owned(),
            entrypoint: None,
            command: vec!["idle".to_owned()],
            pull: PullPolicy::Missing,
            env: BTreeMap::new(),
            network: "none".to_owned(),
            ports: Vec::new(),
            user: None,
            stop_timeout: Duration::from_secs(2),
            memory: None,
            nofile: 4096,
            log_max_size: 20 << 20,
            log_max_files: 2,
            registry_auth: None,
            cosign_key: None,
            confinement: Confinement::default(),
        },
        data: DataConfig {
            path: dir.join("data"),
            target: "/data".into(),
        },
        mounts: Vec::new(),
        chains: BTreeMap::new(),
        health: HealthConfig {
            scrape_interval: Duration::from_secs(5),
            scrape_timeout: Duration::from_secs(3),
            startup_grace: minutes(10),
            lag_blocks: 10,
            stall_after: minutes(5),
            isolated_after: minutes(5),
            frozen_after: minutes(2),
            activity_extension: 3,
            activity_bytes: 32_768,
            finality_after: Duration::from_mins(30),
        },
        restart: RestartConfig {
            backoff_initial: Duration::from_secs(1),
            backoff_max: minutes(5),
            backoff_reset: minutes(30),
            start_timeout: Duration::from_secs(10),
            budget: 3,
            budget_window: minutes(360),
        },
        host: HostConfig {
            disk_warn_percent: 10,
            disk_floor: 2 << 30,
            clock_warn: Duration::from_millis(500),
            memory_warn_percent: 20,
        },
        metrics: MetricsConfig {
            listen: None,
            hosts: Vec::new(),
        },
        notify: NotifyConfig {
            webhook: None,
            format: NotifyFormat::Json,
            no_collation_after: None,
        },
        ec2: Ec2Config {
            enabled: None,
            imds: String::new(),
            lifecycle_hook: None,
        },
        update: UpdateConfig {
            auto: false,
            check_every: Duration::from_hours(6),
            probation: Duration::from_mins(10),
            repositories: Vec::new(),
            keep_images: 2,
        },
        identity: agent_config::IdentityConfig {
            required: false,
            volume: None,
            mount: "/var/lib/t0rn-identity".into(),
            without_volume: agent_config::WithoutVolume::Nothing,
        },
        signatures: Vec::new(),
    }
}
