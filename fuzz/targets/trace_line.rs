#![no_main]

t0rn_agent_fuzz::target!(agent_core::fuzzing::trace_line);
