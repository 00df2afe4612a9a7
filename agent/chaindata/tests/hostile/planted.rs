//! Single attacks, each without a race.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use agent_chaindata::certificate::read_certificate;
use agent_chaindata::database_versions::read_database_versions;
use agent_chaindata::journal::{describe_interrupted_restore, is_restore_swapping};
use agent_chaindata::restore::{abandon_restore, commit_restore};
use agent_chaindata::scrub::remove_keys;
use agent_chaindata::snapshot::Consistency;
use agent_chaindata::survey::survey_data_dir;
use rustix::fs::{CWD, FileType, Mode, makedev, mkfifoat, mknodat};
use serde_json::json;

use crate::support::{Bytes, Host, USER, create, prepare, root_or_skip};

fn journal(place: &str) -> Vec<u8> {
    let units = json!([{"place": place, "new": true}]);
    let journal = json!({
        "schema": 1, "stage": "switching", "source": "a snapshot", "head": "", "point": null, "units": units,
        "keep_old": false,
    });
    journal.to_string().into_bytes()
}

/// A good snapshot, of another host.
fn good() -> Bytes {
    Bytes(create(&Host::new().data(), Consistency::Clean, || ()).unwrap())
}

#[test]
fn planted_journal_is_refused_by_name_and_swaps_nothing() {
    root_or_skip!();
    let (host, source) = (Host::new(), good());
    let (x, y) = (host.path().join("x/etc"), host.path().join("y"));
    for dir in [&x, &y] {
        fs::create_dir_all(dir).unwrap();
    }
    host.link(Path::new("../../x"), ".restore/tree");
    host.link(Path::new("../../y"), ".restore/old");
    for place in ["../canary/etc", "/etc", "chains/t0rn/../../../canary/etc"] {
        host.plant(".restore/journal.json", &journal(place));
        // As it is with the mode of a genuine one, too.
        fs::set_permissions(host.data().join(".restore"), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!is_restore_swapping(&host.data()), "it holds the collator");
        assert_eq!(describe_interrupted_restore(&host.data(), host.path()), None);
        let refused = prepare(&host.data(), &source, || ()).unwrap_err();
        let text = format!("{refused:#}");
        assert!(text.contains(".restore") && text.contains("remove it"), "{text}");
        assert!(!text.contains("a snapshot"), "what it says is repeated: {text}");
        assert!(abandon_restore(&host.data()).is_err());
        assert!(x.exists() && fs::read_dir(&y).unwrap().count() == 0);
        host.canary.assert_unchanged(place);
    }
}

#[test]
fn journal_of_root_with_a_place_outside_is_refused() {
    root_or_skip!();
    let (host, source) = (Host::new(), good());
    let side = host.data().join(".restore");
    fs::create_dir(&side).unwrap();
    fs::set_permissions(&side, fs::Permissions::from_mode(0o700)).unwrap();
    for place in [
        "../canary/etc",
        "/etc",
        "chains/t0rn/keystore",
        "chains/t0rn",
        "chains/./../db",
    ] {
        fs::write(side.join("journal.json"), journal(place)).unwrap();
        assert!(is_restore_swapping(&host.data()), "{place}: what is unknown holds");
        let refused = format!("{:#}", prepare(&host.data(), &source, || ()).unwrap_err());
        assert!(refused.contains("journal.json") && refused.contains(place), "{refused}");
        host.canary.assert_unchanged(place);
    }
}

#[test]
fn restore_whose_directory_is_replaced_meanwhile_writes_nothing_outside() {
    root_or_skip!();
    let (host, source) = (Host::new(), good());
    let (data, victim) = (host.data(), host.canary_path("CURRENT"));
    let prepared = prepare(&data, &source, || {
        fs::rename(data.join(".restore"), data.join(".moved")).unwrap();
        for place in ["chains/t0rn/db/full", "polkadot/chains/rococo/db/full"] {
            let dir = data.join(".restore/tree").join(place);
            fs::create_dir_all(&dir).unwrap();
            for name in ["CURRENT", "000001.sst", "MANIFEST-000005", "db_version", "000999.log"] {
                symlink(&victim, dir.join(name)).unwrap();
            }
        }
    });
    host.canary.assert_unchanged("prepared");
    let refused = commit_restore(prepared.unwrap(), || Ok(())).unwrap_err().to_string();
    assert!(refused.contains(".restore was moved"), "{refused}");
    host.canary.assert_unchanged("committed");
    let own = fs::metadata(data.join("chains/t0rn/db/full/CURRENT")).unwrap();
    assert_eq!(own.uid(), USER, "the present data is not exchanged");
}

#[test]
fn snapshot_exports_no_file_that_replaced_another() {
    root_or_skip!();
    for consistency in [Consistency::Clean, Consistency::CrashConsistent] {
        let host = Host::new();
        let data = host.data();
        let made = create(&data, consistency, || {
            // Where version 0.1.0 kept the files of a live snapshot, and where they are.
            for dir in [".snapshot/0", "chains/t0rn/db/full"] {
                let place = data.join(dir).join("000999.log");
                if fs::remove_file(&place).is_ok() {
                    symlink(host.canary_path("CURRENT"), place).unwrap();
                }
            }
        });
        match made {
            Ok(_) => assert_eq!(consistency, Consistency::CrashConsistent, "what was held is copied"),
            Err(error) => assert!(format!("{error:#}").contains("000999.log"), "{error:#}"),
        }
        host.canary.assert_unchanged("created");
    }
}

#[test]
fn snapshot_refuses_file_of_root_in_data_of_another() {
    root_or_skip!();
    for consistency in [Consistency::Clean, Consistency::CrashConsistent] {
        let host = Host::new();
        let place = host.data().join("chains/t0rn/db/full/000999.log");
        std::os::unix::fs::chown(&place, Some(0), Some(0)).unwrap();
        let refused = format!("{:#}", create(&host.data(), consistency, || ()).unwrap_err());
        assert!(refused.contains("000999.log") && refused.contains("chown"), "{refused}");
    }
}

#[test]
fn pipes_devices_and_odd_names_are_refused_and_block_nothing() {
    root_or_skip!();
    let host = Host::new();
    let data = host.data();
    let fifo = |place: &str| {
        let path = data.join(place);
        let _ = fs::remove_file(&path);
        mkfifoat(CWD, &path, Mode::RWXU).unwrap();
        std::os::unix::fs::lchown(&path, Some(USER), Some(USER)).unwrap();
    };
    fifo("bake.json");
    let damaged = read_certificate(&data).unwrap_err().to_string();
    assert!(
        damaged.contains("bake.json") && damaged.contains("regular file"),
        "{damaged}"
    );
    fifo("chains/t0rn/db/full/db_version");
    let unknown = format!("{:#}", read_database_versions(&data).unwrap_err());
    assert!(unknown.contains("db_version"), "{unknown}");
    fifo("chains/t0rn/db/full/000003.sst");
    let device = data.join("chains/t0rn/db/full/000004.sst");
    mknodat(CWD, &device, FileType::CharacterDevice, Mode::RWXU, makedev(1, 5)).unwrap();
    fs::create_dir(data.join("a\nb")).unwrap();
    let survey = survey_data_dir(&data, true).unwrap();
    let refused: Vec<_> = survey
        .refused
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    for name in ["000003.sst", "000004.sst", "db_version", "a\nb", "bake.json"] {
        assert!(refused.iter().any(|path| path.ends_with(name)), "{name}: {refused:?}");
    }
    let text = remove_keys(&data).unwrap_err().to_string();
    assert!(!text.contains('\n'), "{text:?}");
    let side = data.join(".restore");
    fs::create_dir(&side).unwrap();
    fs::set_permissions(&side, fs::Permissions::from_mode(0o700)).unwrap();
    mkfifoat(CWD, side.join("journal.json"), Mode::RWXU).unwrap();
    assert!(is_restore_swapping(&data), "what is unknown holds");
    host.canary.assert_unchanged("refused");
}

#[test]
fn data_directory_behind_a_link_of_its_owner_is_refused() {
    root_or_skip!();
    let host = Host::new();
    fs::rename(host.data(), host.path().join("own")).unwrap();
    symlink("canary", host.data()).unwrap();
    std::os::unix::fs::lchown(host.data(), Some(USER), Some(USER)).unwrap();
    for refused in [
        survey_data_dir(&host.data(), false).unwrap_err().to_string(),
        format!("{:#}", prepare(&host.data(), &good(), || ()).unwrap_err()),
        format!("{:#}", create(&host.data(), Consistency::Clean, || ()).unwrap_err()),
        remove_keys(&host.data())
            .map_err(|error| format!("{error:#}"))
            .unwrap_err(),
    ] {
        assert!(
            refused.contains("data") && refused.contains("name the directory itself"),
            "{refused}"
        );
    }
    host.canary.assert_unchanged("refused");
    // A link of root's is what an administrator made; one to the user's own directory leads nowhere else.
    fs::remove_file(host.data()).unwrap();
    symlink("own", host.data()).unwrap();
    survey_data_dir(&host.data(), false).unwrap();
    std::os::unix::fs::lchown(host.data(), Some(USER), Some(USER)).unwrap();
    survey_data_dir(&host.data(), false).unwrap();
}
