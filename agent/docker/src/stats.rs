//! What the container uses: weak evidence that it is at work.

use std::pin::pin;

use bollard::models::{ContainerBlkioStatEntry, ContainerStatsResponse};
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt;

use super::{Docker, Error};
use agent_core::event::Activity;
use agent_runtime::Instant;

/// CPU time of one container at one moment.
#[derive(Debug, Clone)]
pub(super) struct Usage {
    id: String,
    cpu_nanos: u64,
    at: Instant,
}

impl Docker {
    /// CPU used since the previous call, and block bytes read and written since the container started, from its cgroup.
    ///
    /// Each is `None` when unknown: no container, none running, first call, or a kernel that does not count.
    /// Fails when the engine does not answer.
    pub async fn activity(&self) -> Result<Activity, Error> {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let engine = self.engine().await?;
        let reference = self.reference();
        let mut answers = pin!(engine.stats(&reference, Some(options)));
        let answer = async { answers.next().await.transpose() };
        let stats = match self
            .within("read the container's usage", self.limits.call, answer)
            .await
        {
            Ok(Some(stats)) => stats,
            Ok(None) => return Ok(Activity::default()),
            Err(error) if error.status() == Some(404) => return Ok(Activity::default()),
            Err(error) => return Err(error),
        };
        let block_read_bytes = block_bytes(&stats, "read");
        let block_write_bytes = block_bytes(&stats, "write");
        let now = usage(stats, Instant::now());
        let before = self.swap_usage(now.clone());
        Ok(Activity {
            cpu_percent: cpu_percent(before.as_ref(), now.as_ref()),
            block_read_bytes,
            block_write_bytes,
        })
    }
}

pub(super) fn usage(stats: ContainerStatsResponse, at: Instant) -> Option<Usage> {
    let cpu_nanos = stats.cpu_stats?.cpu_usage?.total_usage.filter(|nanos| *nanos > 0)?;
    Some(Usage {
        id: stats.id?,
        cpu_nanos,
        at,
    })
}

/// Percent of one core between two looks at one run of one container; another run counts from zero.
#[expect(clippy::cast_precision_loss, reason = "a percentage needs no 52 bits")]
pub(super) fn cpu_percent(before: Option<&Usage>, now: Option<&Usage>) -> Option<f64> {
    let (before, now) = (before?, now?);
    let nanos = now
        .cpu_nanos
        .checked_sub(before.cpu_nanos)
        .filter(|_| before.id == now.id)?;
    let seconds = now.at.duration_since(before.at).as_secs_f64();
    (seconds > 0.0).then(|| nanos as f64 / 1e7 / seconds)
}

/// Bytes of one operation, `read` or `write`, which the cgroup versions spell differently; `None` without block accounting.
pub(super) fn block_bytes(stats: &ContainerStatsResponse, operation: &str) -> Option<u64> {
    let entries = stats.blkio_stats.as_ref()?.io_service_bytes_recursive.as_ref()?;
    let is_meant = |entry: &&ContainerBlkioStatEntry| {
        let op = entry.op.as_deref();
        op.is_some_and(|op| op.eq_ignore_ascii_case(operation))
    };
    let bytes: Vec<u64> = entries
        .iter()
        .filter(is_meant)
        .filter_map(|entry| entry.value)
        .collect();
    (!bytes.is_empty()).then(|| bytes.into_iter().fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use super::*;

    fn stats(json: &str) -> ContainerStatsResponse {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn both_cgroup_versions_give_the_bytes_and_none_gives_none() {
        let of = |entries| {
            let json = format!(r#"{{"blkio_stats":{{"io_service_bytes_recursive":{entries}}}}}"#);
            let stats = stats(&json);
            block_bytes(&stats, "read").zip(block_bytes(&stats, "write"))
        };
        let v1 = r#"[{"major":8,"minor":0,"op":"Read","value":5},{"major":8,"minor":0,"op":"Write","value":9},
                     {"major":8,"minor":16,"op":"Read","value":2},{"major":8,"minor":0,"op":"Total","value":14}]"#;
        assert_eq!(of(v1), Some((7, 9)));
        let v2 = r#"[{"major":259,"minor":0,"op":"read","value":3},{"major":259,"minor":0,"op":"write","value":4}]"#;
        assert_eq!(of(v2), Some((3, 4)));
        assert_eq!((of("[]"), of("null")), (None, None));
    }

    #[test]
    fn cpu_is_measured_between_two_looks_at_the_same_run() {
        let start = Instant::now();
        let at = |id: &str, cpu_nanos, seconds| Usage {
            id: id.into(),
            cpu_nanos,
            at: start + Duration::from_secs(seconds),
        };
        let percent = |before: &Usage, now: &Usage| cpu_percent(Some(before), Some(now));
        let first = at("a", 1_000_000_000, 0);
        assert_eq!(percent(&first, &at("a", 6_000_000_000, 10)), Some(50.0));
        assert_eq!(percent(&first, &at("b", 6_000_000_000, 10)), None, "another container");
        assert_eq!(percent(&first, &at("a", 500, 10)), None, "another run");
        assert_eq!(percent(&first, &at("a", 6_000_000_000, 0)), None, "no time passed");
        assert_eq!(cpu_percent(None, Some(&first)), None);
    }

    #[test]
    fn a_container_that_does_not_run_uses_nothing_known() {
        let stopped = stats(r#"{"id":"a","cpu_stats":{"cpu_usage":{"total_usage":0}}}"#);
        assert!(usage(stopped, Instant::now()).is_none());
    }
}
