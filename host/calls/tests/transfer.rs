//! Claims about transfers, in virtual time.

use jackfield_calls::{Status, TransferEffect as E, TransferInput as I, TransferMachine, TransferMode, TransferState};
use proptest::prelude::*;

const RING: u64 = 30_000;

fn machine(mode: TransferMode) -> TransferMachine {
    let (machine, first) = TransferMachine::new(mode, 0, RING);
    assert!(first.contains(&E::Hold(true)) && first.last() == Some(&E::Dial));
    machine
}

fn dialled() -> I {
    I::Dialled { leg: "leg".to_owned() }
}

fn reported(status: Status) -> I {
    I::Reported { leg: "leg".to_owned(), status }
}

fn cancel() -> E {
    E::Cancel { leg: "leg".to_owned() }
}

fn told(effects: &[E]) -> Vec<(TransferState, Option<&str>)> {
    let told = effects.iter().filter_map(|effect| match effect {
        E::Tell { state, reason } => Some((*state, reason.as_deref())),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_destination_that_answers_is_joined_and_its_end_ends_the_call() {
    let mut machine = machine(TransferMode::Attended);
    assert_eq!(told(&machine.handle(1, dialled())), [(TransferState::Dialled, None)]);
    assert!(machine.handle(2, reported(Status::Ringing)).is_empty());
    let answered = machine.handle(3, reported(Status::InProgress));
    assert_eq!(told(&answered), [(TransferState::Answered, None)]);
    assert!(answered.contains(&E::HandOver(true)) && answered.contains(&E::Join { leg: "leg".to_owned() }));
    let joined = machine.handle(4, I::Joined);
    assert_eq!((told(&joined), joined.last()), (vec![(TransferState::Joined, None)], Some(&E::CloseStream)));
    assert!(machine.handle(99_999_999, I::Tick).is_empty(), "people may talk for as long as they like");
    let over = machine.handle(99_999_999, reported(Status::Completed));
    assert!(over.contains(&E::Done) && matches!(over.last(), Some(E::EndCall { .. })), "{over:?}");
    assert!(machine.is_done());
}

#[test]
fn a_callback_that_overtakes_the_answer_to_the_order_counts() {
    let mut machine = machine(TransferMode::Attended);
    let effects = machine.handle(1, reported(Status::InProgress));
    assert_eq!(told(&effects), [(TransferState::Dialled, None), (TransferState::Answered, None)]);
    assert!(machine.handle(2, dialled()).is_empty());
}

#[test]
fn a_destination_that_does_not_answer_gives_the_caller_back_to_the_agent() {
    let ways = [
        (reported(Status::Busy), "busy", false),
        (reported(Status::NoAnswer), "no answer", false),
        (reported(Status::Failed), "the destination could not be reached", false),
        (I::CancelRequested, "cancelled", true),
    ];
    for (input, reason, gives_up) in ways {
        let mut machine = machine(TransferMode::Attended);
        machine.handle(1, dialled());
        let effects = machine.handle(2, input);
        assert_eq!(told(&effects), [(TransferState::Failed, Some(reason))]);
        assert!(effects.contains(&E::Hold(false)) && effects.contains(&E::Done), "{effects:?}");
        assert_eq!(effects.contains(&cancel()), gives_up, "{effects:?}");
        assert!(!effects.iter().any(|effect| matches!(effect, E::EndCall { .. })));
        assert!(machine.is_done());
    }
}

#[test]
fn a_callback_that_never_comes_ends_in_time() {
    let mut machine = machine(TransferMode::Attended);
    machine.handle(1, dialled());
    assert!(machine.handle(RING, I::Tick).is_empty());
    let late = machine.next_deadline().unwrap_or_default();
    let effects = machine.handle(late, I::Tick);
    assert_eq!(told(&effects), [(TransferState::Failed, Some("timed out"))]);
    assert!(effects.contains(&cancel()), "{effects:?}");
}

#[test]
fn a_blind_transfer_that_fails_ends_the_call() {
    let mut machine = machine(TransferMode::Blind);
    machine.handle(1, dialled());
    let effects = machine.handle(2, reported(Status::Busy));
    assert_eq!(effects.last(), Some(&E::EndCall { reason: "the transfer failed: busy".to_owned() }));
}

#[test]
fn a_join_that_is_refused_takes_back_what_was_handed_over() {
    let mut machine = machine(TransferMode::Attended);
    machine.handle(1, dialled());
    machine.handle(2, reported(Status::InProgress));
    let effects = machine.handle(3, I::JoinRefused { reason: "no".to_owned() });
    assert!(effects.starts_with(&[E::HandOver(false), cancel(), E::Hold(false)]), "{effects:?}");
}

#[test]
fn a_caller_who_hangs_up_takes_the_destination_along_also_before_it_has_a_name() {
    let mut early = machine(TransferMode::Attended);
    let effects = early.handle(1, I::CallerEnded);
    assert_eq!(told(&effects), [(TransferState::Failed, Some("the caller hung up"))]);
    assert!(!early.is_done(), "the order may still be carried out");
    assert_eq!(early.handle(2, dialled()), [cancel()]);
    assert!(early.is_done());
    let mut joined = machine(TransferMode::Attended);
    joined.handle(1, dialled());
    joined.handle(2, reported(Status::InProgress));
    joined.handle(3, I::Joined);
    assert!(joined.handle(4, I::CallerEnded).contains(&cancel()));
}

fn inputs() -> impl Strategy<Value = Vec<I>> {
    let leg = || "leg".to_owned();
    let one = prop_oneof![
        Just(dialled()),
        Just(I::DialRefused { reason: "no".to_owned() }),
        Just(I::DialUnknown),
        prop::sample::select(Status::ALL.to_vec()).prop_map(move |status| I::Reported { leg: leg(), status }),
        Just(I::Reported { leg: "another".to_owned(), status: Status::InProgress }),
        Just(I::Joined),
        Just(I::JoinRefused { reason: "no".to_owned() }),
        Just(I::CallerEnded),
        Just(I::CancelRequested),
        Just(I::Tick),
    ];
    prop::collection::vec(one, 0..12)
}

proptest! {
    /// Whatever happens in whatever order: it ends once, nobody is left on hold, and no destination is left ringing.
    #[test]
    fn everything_is_torn_down_once(inputs in inputs(), blind: bool) {
        let mode = if blind { TransferMode::Blind } else { TransferMode::Attended };
        let (mut machine, mut all) = TransferMachine::new(mode, 0, RING);
        // A report about another leg than ours may come first: then that is the leg.
        for (at, input) in (1u64..).zip(inputs.into_iter().chain([I::CallerEnded, dialled()])) {
            all.extend(machine.handle(at * 5_000, input));
        }
        prop_assert!(machine.is_done());
        prop_assert_eq!(all.iter().filter(|effect| **effect == E::Done).count(), 1);
        let holds: Vec<bool> = all.iter().filter_map(|e| if let E::Hold(on) = e { Some(*on) } else { None }).collect();
        prop_assert!(holds.len() <= 2, "{:?}", holds);
        let handed: Vec<bool> = all.iter().filter_map(|e| if let E::HandOver(on) = e { Some(*on) } else { None }).collect();
        prop_assert!(handed.windows(2).all(|pair| pair[0] != pair[1]), "{:?}", handed);
        let ends = all.iter().filter(|effect| matches!(effect, E::EndCall { .. })).count();
        prop_assert!(ends <= 1, "{:?}", all);
    }
}
