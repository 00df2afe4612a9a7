#![no_main]

t0rn_agent_fuzz::target!(agent_daemon::fuzzing::exposition_page);
