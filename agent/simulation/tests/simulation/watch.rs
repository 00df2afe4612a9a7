//! The judge of one life. Everything it demands stands in README, docs/verdicts.md, docs/status.md or ARCHITECTURE.md.

use agent_core::event::Command;
use agent_core::machine::Phase;

use super::engine::Run;
use super::host::Host;
use super::judge::Judge;
use super::node::Ailment;
use super::world::{MINUTE, SECOND, State};

/// docs/verdicts.md: restarts of a running but unhealthy collator within six hours.
const BUDGET: usize = 3;
/// From the end of a window to the restart: two scrapes, the pause before it, the incident.
const SLACK: u64 = 60 * SECOND;
/// A pause before a restart grows up to this.
const BACKOFF: u64 = 5 * MINUTE + 30 * SECOND;
/// A wanted collator runs again within this: the pause, Docker's own policy, a pull.
const DOWN: u64 = BACKOFF + 90 * SECOND;
/// `stop_timeout`, and some time for the engine.
const STOPS: u64 = 90 * SECOND;
/// Status is published at least every 10 s, and news of Docker take as long as a ping.
const STALE: u64 = 20 * SECOND;
const NEWS: u64 = 40 * SECOND;
/// A restart that waits for a disk asks for the stop this late.
const RESTART: u64 = 15 * SECOND;
/// What could not be saved is saved again at least this often.
const RETRY: u64 = 15 * SECOND;
/// A reference that limits requests is asked again within 10 min; then it has to be seen where this node stands.
const OPINION: u64 = 12 * MINUTE;
/// A fault that ended a moment ago may still be acted on.
const AFTERMATH: u64 = 30 * SECOND;

/// What a person wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Wish {
    #[default]
    Runs,
    Stopped,
    /// A command was sent, and the agent died before it answered.
    Unknown,
}

#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) wish: Wish,
    /// For how long the agent has been able to see everything, the collator was down though wanted, up though not, ms.
    seen: u64,
    down: u64,
    up: u64,
    /// How long the present fault was seen, and whether it was acted on.
    ailing: u64,
    acted: bool,
    /// Restarts that nobody asked for.
    pub(crate) restarts: Vec<u64>,
    /// Those that a person may have asked for, and the agent may all the same have counted.
    uncertain: usize,
    /// Until when health restarts are off.
    maintenance: u64,
    /// For how long the agent has had a reference that is right, ms.
    opinion: u64,
    /// When a person last asked for something, by whatever way.
    asked: u64,
    /// When a person last stopped it by Docker itself.
    hand_stop: Option<u64>,
    /// The status says that an update is under way: docs/update.md says what is done then.
    pub(crate) updating: bool,
    /// It says that a restart is under way, or was when its agent died.
    restarting: bool,
    /// When the status last changed, and for how long it has been wrong, ms.
    published: u64,
    wrong: u64,
    /// For how long the container has been as it is, ms.
    steady: u64,
    was: Option<Run>,
}

impl Ailment {
    /// docs/verdicts.md: the window.
    fn window(self) -> u64 {
        match self {
            Self::Frozen => 2 * MINUTE,
            // Up to ten blocks behind, a chain is in sync.
            Self::Stalled => 5 * MINUTE + 10 * 12 * SECOND + 30 * SECOND,
            Self::Isolated => 5 * MINUTE,
            // The reference is read every 20 to 40 s, and holds for two minutes.
            Self::Deaf => 5 * MINUTE + 10 * 12 * SECOND + 3 * MINUTE,
        }
    }
}

impl State {
    pub(crate) fn ail(&mut self, ailment: Ailment, cured: bool) {
        let now = self.now();
        self.judge.ailment = Some((ailment, cured));
        // Without a reference that it has come to trust, it cannot see that the chain goes on.
        let is_unseen = ailment == Ailment::Deaf && self.judge.watch.opinion < OPINION;
        (self.judge.watch.ailing, self.judge.watch.acted) = (0, is_unseen);
        self.machines[0].engine.containers[0].node.ailment = Some((ailment, now));
    }

    pub(crate) fn cure(&mut self) {
        if self.judge.ailment.take().is_some() {
            self.judge.calm = self.now();
        }
        for container in &mut self.machines[0].engine.containers {
            container.node.ailment = None;
        }
    }

    /// A new run of the node; what a restart does not cure goes on.
    pub(crate) fn begin_run(&mut self, host: usize, index: usize) {
        let now = self.now();
        match self.judge.ailment {
            Some((_, true)) => self.cure(),
            Some((ailment, false)) => {
                // Nobody has seen this run well.
                self.judge.watch.acted = true;
                self.machines[host].engine.containers[index].node.ailment = Some((ailment, now));
            }
            None => {}
        }
    }

    pub(crate) fn wish_stopped(&mut self) {
        let now = self.now();
        let watch = &mut self.judge.watch;
        watch.hand_stop = Some(now);
        // docs/verdicts.md: a `docker stop` while the agent restarts it cannot be distinguished from the agent's.
        watch.wish = if watch.restarting { Wish::Unknown } else { Wish::Stopped };
        watch.asked = now;
    }

    /// The agent dies. What it could not save is lost, as its status says.
    pub(crate) fn agent_dies(&mut self) {
        self.outside.agent_rests();
        let (now, machine) = (self.now(), &self.machines[0]);
        let ill_until = machine.failing_state.max(machine.stalled_state);
        if ill_until == 0 || now > ill_until + RETRY {
            return;
        }
        let (watch, since) = (&mut self.judge.watch, machine.state_ill_since);
        if watch.asked + RETRY >= since {
            (watch.wish, watch.maintenance) = (Wish::Unknown, 0);
        }
        let before = watch.restarts.len();
        watch.restarts.retain(|at| at + RETRY < since);
        watch.uncertain += before - watch.restarts.len();
    }

    pub(crate) fn wish_runs(&mut self) {
        (self.judge.watch.wish, self.judge.watch.asked) = (Wish::Runs, self.now());
    }

    pub(crate) fn asked(&mut self, command: &Command) {
        self.judge.watch.asked = self.now();
        // Until it is answered, either may be right.
        if matches!(
            command,
            Command::Stop { .. } | Command::Start { .. } | Command::Restart { .. }
        ) {
            self.judge.watch.wish = Wish::Unknown;
        }
    }

    pub(crate) fn answered(&mut self, command: &Command, done: bool) {
        let now = self.now();
        let watch = &mut self.judge.watch;
        let given = std::mem::replace(&mut watch.asked, now);
        if !matches!(command, Command::Pause { .. }) {
            // It says that things have changed: every window begins anew.
            watch.ailing = 0;
        }
        match command {
            _ if !done => {}
            Command::Stop { .. } => watch.wish = Wish::Stopped,
            Command::Start { .. } | Command::Restart { .. } => watch.wish = Wish::Runs,
            // From when it was given: the answer takes longer than the agent does.
            Command::Pause { seconds, .. } => watch.maintenance = given + seconds * SECOND,
            Command::Resume => watch.maintenance = 0,
            Command::Update { .. } => {}
        }
    }

    pub(crate) fn unanswered(&mut self, command: &Command) {
        match command {
            Command::Pause { .. } | Command::Resume => self.judge.watch.maintenance = 0,
            _ => self.judge.watch.wish = Wish::Unknown,
        }
    }

    /// The agent asks the engine to start the container.
    pub(crate) fn agent_starts(&mut self) {
        if self.judge.watch.wish == Wish::Stopped {
            self.blame("the agent starts what a person has stopped");
        }
        if self
            .notice_heard()
            .is_some_and(|since| self.now() > since + 15 * SECOND)
            && self.judge.watch.seen > NEWS
        {
            self.blame("the agent starts the collator although EC2 ends the instance");
        }
    }

    /// The agent asks the engine to stop the container.
    pub(crate) fn agent_stops(&mut self) {
        let now = self.now();
        if self.judge.watch.hand_stop.is_some_and(|at| now <= at + RESTART) {
            // docs/verdicts.md: a docker stop during a restart is not told from the agent's own.
            self.judge.watch.wish = Wish::Unknown;
        }
        let running = self.machines[0]
            .engine
            .containers
            .first()
            .is_some_and(|c| c.run == Run::Running && c.ending.is_none());
        let asked = self.judge.watch.wish != Wish::Runs || now <= self.judge.watch.asked + 2 * MINUTE;
        let notice = self.judge.notice.is_some() || now < self.judge.calm + AFTERMATH;
        if !running || asked || self.judge.notice.is_some() || self.judge.watch.updating {
            let uncertain = running && self.judge.watch.wish == Wish::Runs && self.judge.notice.is_none();
            self.judge.watch.uncertain += usize::from(uncertain);
            return;
        }
        let ails = self.judge.ailment.is_some() || notice;
        let paused = self.machines[0].engine.containers.iter().any(|c| c.run == Run::Paused);
        if !ails && !paused {
            self.blame("the agent stops a healthy collator");
        }
        if self.judge.watch.maintenance > now {
            self.blame("the agent restarts the collator in a pause that a person asked for");
        }
        self.judge.watch.acted = true;
        self.judge.watch.restarts.push(now);
        if self.has_outside {
            self.outside.restarted(now);
        }
        if self.judge.watch.restarts.len() > BUDGET {
            self.blame("more restarts than the budget has");
        }
    }

    /// Since when there has been a notice that the metadata service could tell of.
    fn notice_heard(&self) -> Option<u64> {
        let (since, _) = self.judge.notice?;
        (self.machines[0].no_metadata <= since).then_some(since)
    }

    /// Docker goes down while a person's stop is under way.
    pub(crate) fn stop_is_lost(&mut self) {
        if self.judge.watch.wish == Wish::Stopped {
            self.judge.watch.wish = Wish::Unknown;
        }
    }

    /// The time of a notice has come, and the power goes.
    pub(crate) fn judge_notice(&mut self) {
        let running = self.signer(0).is_some() && self.notice_heard().is_some();
        if running && self.judge.watch.seen > 115 * SECOND {
            self.blame("EC2 cut the collator off although its notice was there for two minutes");
        }
    }

    /// Called after every step.
    pub(crate) fn watch(&mut self, host: &Host, quantum: u64) {
        let now = self.now();
        let machine = &self.machines[0];
        if machine.suspended && now < self.judge.watch.maintenance {
            // The clock of a pause stands still meanwhile.
            self.judge.watch.maintenance += quantum;
        }
        if !machine.powered || machine.suspended {
            self.outside.agent_rests();
            self.judge.forget();
            return;
        }
        self.judge.signed += if self.signer(0).is_some() { quantum } else { 0 };
        let machine = &self.machines[0];
        let container = machine.engine.containers.first();
        let running = container.is_some_and(|c| matches!(c.run, Run::Running | Run::Paused));
        let stops = container.is_some_and(|c| c.ending.is_some());
        let paused = container.is_some_and(|c| c.run == Run::Paused);
        let watch = &mut self.judge.watch;
        let run = container.map(|c| c.run);
        let same = std::mem::replace(&mut watch.was, run) == run;
        watch.steady = if same { watch.steady + quantum } else { 0 };
        let engine = machine.engine.up && machine.engine.hangs <= now;
        let data = machine.stalled_data <= now;
        let awake = host.is_running(now);
        if !awake {
            self.outside.agent_rests();
            self.judge.forget();
            return;
        }
        let changed = host.handle.lock().unwrap().as_mut().is_none_or(|handle| {
            let changed = handle.snapshot.has_changed().unwrap_or(true);
            let status = &handle.snapshot.borrow_and_update().status;
            watch.updating = status.update.as_ref().is_some_and(|update| update.step.is_some());
            watch.restarting = status.phase == Some(Phase::Restarting);
            changed
        });
        watch.published = if changed { 0 } else { watch.published + quantum };
        if watch.published > STALE {
            self.blame("the status has not been published for 20 s");
            return;
        }
        if !engine {
            self.judge.forget();
            return;
        }
        watch.seen += quantum;
        let looks_halted = self.outside.looks_halted(now);
        if self.has_outside && self.outside.is_reference_well(now) {
            watch.opinion += quantum;
        } else {
            self.judge.doubt();
        }
        let watch = &mut self.judge.watch;
        let wanted = watch.wish == Wish::Runs && self.judge.notice.is_none();
        // In a pause the agent does nothing by itself.
        let idle = now < watch.maintenance || !wanted || !data || watch.updating;
        watch.down = if running || idle { 0 } else { watch.down + quantum };
        let unwanted = watch.wish == Wish::Stopped && running;
        watch.up = if unwanted { watch.up + quantum } else { 0 };
        let may_act = now >= watch.maintenance && wanted && running && !stops && !paused && data && !watch.updating;
        let affordable = watch.restarts.len() + watch.uncertain < BUDGET;
        let ails = self.judge.ailment.filter(|(ailment, _)| {
            // Of a chain that makes no blocks, only silence is a fault.
            may_act && affordable && (!looks_halted || *ailment == Ailment::Frozen)
        });
        watch.ailing = if ails.is_some() { watch.ailing + quantum } else { 0 };
        let bound = ails.map(|(ailment, _)| {
            let again = if watch.restarts.is_empty() { 0 } else { BACKOFF };
            ailment.window() + SLACK + again
        });
        let late = bound.is_some_and(|bound| !watch.acted && watch.ailing > bound);
        let (down, up) = (watch.down, watch.up);
        let says = host
            .handle
            .lock()
            .unwrap()
            .as_ref()
            .map(|handle| handle.snapshot.borrow().running);
        let lies =
            !paused && matches!(says, Some(Some(said)) if said != running) && watch.steady > NEWS && watch.seen > NEWS;
        watch.wrong = if lies { watch.wrong + quantum } else { 0 };
        let wrong = watch.wrong;
        if self.outside.is_untold(now) {
            self.blame("the webhook was not told of a restart");
        } else if late {
            self.blame("a fault was not acted on within its window");
        } else if down > DOWN {
            self.blame("a collator that is wanted stays down");
        } else if up > STOPS {
            self.blame("a collator that a person has stopped runs on");
        } else if wrong > SECOND {
            self.blame(&format!(
                "the status says that running is {says:?}, and it is {running}"
            ));
        }
    }
}

impl Judge {
    /// The agent could not watch: every window begins anew.
    fn forget(&mut self) {
        self.watch.forget();
        self.doubt();
    }

    /// It has no opinion of the chain besides the node's own.
    fn doubt(&mut self) {
        self.watch.opinion = 0;
        if matches!(self.ailment, Some((Ailment::Deaf, _))) {
            self.watch.acted = true;
        }
    }
}

impl Watch {
    fn forget(&mut self) {
        (self.seen, self.down, self.up, self.ailing, self.published, self.wrong) = (0, 0, 0, 0, 0, 0);
    }
}
