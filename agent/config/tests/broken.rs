//! Broken configurations and their exact messages, from `broken.txt`: a configuration, `----`, its messages, `====`.

#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use agent_config::Config;

#[test]
fn broken_configuration_is_refused_with_its_exact_messages() {
    let cases = include_str!("broken.txt").split_terminator("\n====\n");
    for case in cases {
        let (text, expected) = case.trim_start().split_once("\n----\n").unwrap();
        // An image is added where it is not the question.
        let is_about_the_image = text.contains("[collator") || expected.contains("collator.image");
        let image = if is_about_the_image {
            ""
        } else {
            "\n[collator]\nimage = \"a:1\"\n"
        };
        let result = Config::parse(&format!("{text}{image}"), "agent.toml");
        let messages = result.map_or_else(|error| error.to_string(), |_| "valid".to_owned());
        assert_eq!(messages, expected, "messages of:\n{text}");
    }
}
