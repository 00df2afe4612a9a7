//! What stands before a line of the log that the program did not write: times and names of those who passed it on.

/// The line without colours and without what Docker (`--timestamps`), Kubernetes or the journal put before it. A date of the
/// node's own stays: its logger parts date and time by a space.
pub(super) fn without_prefix(line: &str) -> &str {
    let text = without_colour(line);
    let dated = text.split_once(' ').filter(|(time, _)| is_timestamp(time));
    let text = match dated {
        None => without_journal(text, 5),
        Some((_, rest)) => {
            let stream = ["stdout F ", "stderr F "]
                .iter()
                .find_map(|stream| rest.strip_prefix(stream));
            without_journal(stream.unwrap_or(rest), 2)
        }
    };
    without_colour(text)
}

fn without_colour(line: &str) -> &str {
    let mut text = line.trim_start();
    while let Some(sequence) = text.strip_prefix("\u{1b}[") {
        let Some((_, rest)) = sequence.split_once('m') else {
            break;
        };
        text = rest.trim_start();
    }
    text
}

/// Whether a word is a time as RFC 3339 has it, in one word.
fn is_timestamp(word: &str) -> bool {
    let Some((date, time)) = word.split_once('T') else {
        return false;
    };
    let is_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || "-:.+Z".contains(c));
    date.len() == 10 && time.len() >= 8 && is_digits(date) && is_digits(time)
}

/// The line after `Nov 22 10:00:03 host name[pid]: ` of the journal, where `words` is the number of words before the colon.
fn without_journal(line: &str, words: usize) -> &str {
    let Some((head, rest)) = line.split_once("]: ") else {
        return line;
    };
    let ends_in_pid = head.rsplit_once('[').is_some_and(|(name, pid)| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.@: ".contains(c);
        !pid.is_empty() && pid.chars().all(|c| c.is_ascii_digit()) && name.chars().all(is_name) && !name.ends_with(' ')
    });
    if ends_in_pid && head.split_whitespace().count() == words {
        rest
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: &str = "Error: Service(Keystore(InvalidPassword))";

    #[test]
    fn prefix_of_those_who_passed_a_line_on_is_left_out() {
        for prefix in [
            "",
            "  ",
            "\u{1b}[91m",
            "2026-11-22T10:00:03.123456789Z ",
            "2026-11-22T10:00:03.123456789Z stderr F ",
            "2026-11-22T10:00:03.123456789+01:00 \u{1b}[0m\u{1b}[31m",
            "Nov 22 10:00:03 ip-10-0-0-7 docker[812]: ",
            "2026-11-22T10:00:03+0000 host t0rn-node@1.service[7]: ",
        ] {
            assert_eq!(without_prefix(&format!("{prefix}{ERROR}")), ERROR, "{prefix:?}");
        }
    }

    #[test]
    fn words_of_the_node_before_an_error_stay() {
        for prefix in [
            "2026-11-22 10:00:03 ",
            "2026-11-22 10:00:03.123 ERROR tokio-runtime-worker offchain-worker: ",
            "2026-11-22T10:00:03.123456789Z 2026-11-22 10:00:03 [Parachain] ",
            "request [7]: ",
            "request of peer[7]: ",
            "💔 [12]: ",
        ] {
            let line = format!("{prefix}{ERROR}");
            assert!(!without_prefix(&line).starts_with("Error:"), "{prefix:?}");
        }
    }
}
