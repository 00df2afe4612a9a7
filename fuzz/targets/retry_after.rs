#![no_main]

t0rn_agent_fuzz::target!(agent_net::http::fuzzing::retry_after);
