#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};

use super::*;
use agent_config::ContainerUser;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn node_key_has_the_peer_id_of_libp2p() {
    // The published vector of RFC 8032 for the key, and libp2p's text form of it.
    let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
    let id = peer_id(&seed.try_into().unwrap()).unwrap();
    assert_eq!(id, "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV");
}

#[test]
fn new_identity_is_private_and_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), None).unwrap();
    let keys = inspect(dir.path()).unwrap();
    assert!(keys.session.is_empty() && keys.peer_id.is_some());
    assert_eq!(mode(&dir.path().join(NODE_KEY)), 0o600);
    assert_eq!(mode(&dir.path().join(KEYSTORE)), 0o700);
    init(dir.path(), None).unwrap();
    assert_eq!(inspect(dir.path()).unwrap(), keys);
    let other = dir.path().join("other");
    fs::write(&other, [7; 32]).unwrap();
    let error = format!("{:#}", import_node_key(dir.path(), &other, None).unwrap_err());
    assert!(error.contains("another key"), "{error}");
    assert_eq!(inspect(dir.path()).unwrap(), keys);
}

#[test]
fn exposed_keys_are_listed_and_made_private() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), None).unwrap();
    let (keystore, key) = (dir.path().join(KEYSTORE), dir.path().join(NODE_KEY));
    let session = keystore.join(format!("61757261{}", "ab".repeat(32)));
    fs::write(&session, "words").unwrap();
    for path in [&keystore, &key, &session] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert_eq!(
        inspect(dir.path()).unwrap().exposed,
        [keystore.clone(), key.clone(), session.clone()]
    );
    init(dir.path(), None).unwrap();
    assert_eq!(inspect(dir.path()).unwrap().exposed, [] as [PathBuf; 0]);
    assert_eq!([&keystore, &key].map(|path| mode(path)), [0o700, 0o700]);
}

#[test]
fn link_pipe_or_large_file_is_rejected_and_nothing_leaves_the_volume() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let name = format!("61757261{}", "ab".repeat(32));
    let source = from.path().join(&name);
    rustix::fs::mkfifoat(rustix::fs::CWD, &source, rustix::fs::Mode::RUSR).unwrap();
    let failed = |what: &str| {
        let error = format!("{:#}", import_keystore(dir.path(), from.path(), None).unwrap_err());
        assert!(error.contains(what), "{error}");
    };
    failed("no key file");
    fs::remove_file(&source).unwrap();
    fs::write(&source, [b'x'; 5000]).unwrap();
    failed("no key file");
    fs::write(&source, "words").unwrap();
    let off = tempfile::tempdir().unwrap();
    symlink(off.path(), dir.path().join(KEYSTORE)).unwrap();
    failed("is a link");
    assert!(init(dir.path(), None).is_err() && inspect(dir.path()).is_err());
    assert_eq!(fs::read_dir(off.path()).unwrap().count(), 0);
}

#[test]
fn keystore_is_imported_whole_or_not_at_all_without_showing_secrets() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let name = format!("61757261{}", "ab".repeat(32));
    fs::write(from.path().join(&name), "\"bottom drive obey lake\"").unwrap();
    fs::write(from.path().join("notes.txt"), "secret words").unwrap();
    let error = format!("{:#}", import_keystore(dir.path(), from.path(), None).unwrap_err());
    assert!(
        error.contains("notes.txt") && !error.contains("secret words"),
        "{error}"
    );
    assert!(!dir.path().join(KEYSTORE).exists());
    fs::remove_file(from.path().join("notes.txt")).unwrap();
    assert_eq!(import_keystore(dir.path(), from.path(), None).unwrap(), 1);
    assert_eq!(import_keystore(dir.path(), from.path(), None).unwrap(), 0);
    let keys = inspect(dir.path()).unwrap();
    assert_eq!(
        keys.session,
        [SessionKey {
            kind: "aura".into(),
            public: format!("0x{}", "ab".repeat(32))
        }]
    );
    assert_eq!(mode(&dir.path().join(KEYSTORE).join(&name)), 0o600);
    fs::write(from.path().join(&name), "\"other words\"").unwrap();
    let error = format!("{:#}", import_keystore(dir.path(), from.path(), None).unwrap_err());
    assert!(error.contains("differs") && !error.contains("words"), "{error}");
}

#[test]
fn link_in_keystore_refused_and_its_target_neither_owned_nor_closed() {
    let (dir, off) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let shadow = off.path().join("shadow");
    fs::write(&shadow, "of root").unwrap();
    fs::set_permissions(&shadow, fs::Permissions::from_mode(0o644)).unwrap();
    init(dir.path(), None).unwrap();
    let (about, name) = (fs::metadata(&shadow).unwrap(), format!("61757261{}", "01".repeat(32)));
    let user = ContainerUser {
        uid: about.uid() + 1000,
        gid: about.gid() + 1000,
    };
    let plants: [fn(&Path, &Path); 2] = [
        |shadow, place| symlink(shadow, place).unwrap(),
        |shadow, place| fs::hard_link(shadow, place).unwrap(),
    ];
    for plant in plants {
        let place = dir.path().join(KEYSTORE).join(&name);
        plant(&shadow, &place);
        let error = format!("{:#}", init(dir.path(), Some(user)).unwrap_err());
        assert!(error.contains(&name) && error.contains("link"), "{error}");
        let now = fs::metadata(&shadow).unwrap();
        assert_eq!(
            (now.uid(), now.gid(), now.mode()),
            (about.uid(), about.gid(), about.mode())
        );
        fs::remove_file(place).unwrap();
    }
}

#[test]
fn lease_that_is_a_link_or_a_pipe_is_neither_read_nor_handed_over() {
    use crate::identity::lease;
    let (dir, off) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (victim, place) = (off.path().join("victim"), lease::path(dir.path()));
    fs::write(&victim, serde_json::to_vec(&lease::Lease::of("i-1").unwrap()).unwrap()).unwrap();
    let before = fs::metadata(&victim).unwrap();
    symlink(&victim, &place).unwrap();
    assert!(matches!(lease::read(dir.path()), Some(lease::LeaseFile::Unreadable(_))));
    let error = lease::hand_over(dir.path(), 4242, 4242).unwrap_err().to_string();
    assert!(error.contains("lease.json") && error.contains("link"), "{error}");
    let now = fs::metadata(&victim).unwrap();
    assert_eq!(
        (now.uid(), now.gid(), now.len()),
        (before.uid(), before.gid(), before.len())
    );
    fs::remove_file(&place).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &place, rustix::fs::Mode::RUSR).unwrap();
    assert!(matches!(lease::read(dir.path()), Some(lease::LeaseFile::Unreadable(_))));
}

/// Puts a link in the place of each of `places` for a moment, and the entry back, until it is told to stop.
fn attack(stop: &std::sync::atomic::AtomicBool, places: &[(PathBuf, PathBuf)]) {
    for (place, target) in places.iter().cycle() {
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        let aside = place.with_extension("aside");
        let moved = fs::rename(place, &aside).is_ok();
        let _ = symlink(target, place);
        std::thread::yield_now();
        let _ = fs::remove_file(place);
        if moved {
            let _ = fs::rename(&aside, place);
        }
    }
}

#[test]
fn attacked_keystore_gives_and_takes_nothing_outside() {
    let (off, name) = (tempfile::tempdir().unwrap(), format!("61757261{}", "ab".repeat(32)));
    let victim = off.path().join(&name);
    fs::write(&victim, "of root").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).unwrap();
    let about = |path: &Path| {
        let about = fs::symlink_metadata(path).unwrap();
        (about.ino(), about.uid(), about.gid(), about.mode(), about.nlink())
    };
    let before = (about(&victim), about(off.path()));
    let root = before.0.1 == 0;
    // Another user can only be given something by root.
    let user = root.then_some(ContainerUser { uid: 4711, gid: 4711 });
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(from.path().join(&name), "words").unwrap();
    let (keystore, stop) = (dir.path().join(KEYSTORE), std::sync::atomic::AtomicBool::new(false));
    let places = [
        (keystore.join(&name), victim.clone()),
        (keystore.clone(), off.path().to_owned()),
        (keystore.join(format!("{name}.new")), victim.clone()),
        (dir.path().join(NODE_KEY), victim.clone()),
        (crate::identity::lease::path(dir.path()), victim.clone()),
    ];
    std::thread::scope(|scope| {
        scope.spawn(|| attack(&stop, &places));
        for _ in 0..200 {
            let _ = init(dir.path(), user);
            let _ = import_keystore(dir.path(), from.path(), user);
            let _ = inspect(dir.path());
            let _ = crate::identity::lease::hand_over(dir.path(), about(off.path()).1, about(off.path()).2);
            let lease = crate::identity::lease::Lease::of("i-1").unwrap();
            let _ = lease.write(dir.path());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!((about(&victim), about(off.path())), before);
    assert_eq!(fs::read(&victim).unwrap(), b"of root");
    assert_eq!(fs::read_dir(off.path()).unwrap().count(), 1);
}
