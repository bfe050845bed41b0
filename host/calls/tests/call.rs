//! Claims about calls, in virtual time.
#![allow(clippy::unwrap_used, reason = "tests")]

use jackfield_calls::{CallMachine, Change, Direction, Effect, Ended, Input, Limits, Report, Status, Stored};

fn report(status: Status, sequence: Option<u64>) -> Input {
    Input::Reported(Report { status: Some(status), raw: status.as_str().to_owned(), sequence, ..Report::default() })
}

fn placed() -> Input {
    Input::Placed { provider_id: "P1".to_owned(), status: Some(Status::Initiated) }
}

fn inbound() -> CallMachine {
    CallMachine::new(Direction::Inbound, 0, Limits::default())
}

fn finishes(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Finished { .. })).count()
}

/// Ticks until nothing is due, answering orders as a provider would that always fails.
fn run_out(machine: &mut CallMachine, mut now: u64, answer: &Input) -> (u64, Vec<Effect>) {
    let mut all = Vec::new();
    for _ in 0..200 {
        if machine.is_finished() {
            return (now, all);
        }
        now = machine.next_deadline().unwrap().max(now);
        let mut inputs = vec![Input::Tick];
        while let Some(input) = inputs.pop() {
            for effect in machine.handle(now, input) {
                match effect {
                    Effect::HangUpAtProvider => inputs.push(answer.clone()),
                    Effect::ReadBack => inputs.push(Input::PlaceFound(None)),
                    _ => {}
                }
                all.push(effect);
            }
        }
    }
    panic!("the call does not end");
}

fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for index in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(index);
        all.extend(permutations(&rest).into_iter().map(|mut tail| {
            tail.insert(0, first.clone());
            tail
        }));
    }
    all
}

#[test]
fn every_order_of_status_callbacks_ends_as_the_right_one_does() {
    let events = [
        report(Status::Initiated, Some(0)),
        report(Status::Ringing, Some(1)),
        report(Status::InProgress, Some(2)),
        report(Status::Ringing, Some(1)),
        report(Status::InProgress, Some(2)),
        report(Status::Completed, Some(3)),
    ];
    for order in permutations(&events) {
        let mut machine = CallMachine::new(Direction::Outbound, 0, Limits::default());
        let mut effects = machine.handle(1, placed());
        for (at, event) in order.iter().enumerate() {
            effects.extend(machine.handle(2 + at as u64, event.clone()));
        }
        assert_eq!(machine.status(), Status::Completed, "{order:?}");
        assert_eq!(finishes(&effects), 1, "{order:?}");
    }
}

#[test]
fn statuses_never_move_back() {
    let mut machine = inbound();
    machine.handle(1, Input::StreamOpened);
    let effects = machine.handle(2, report(Status::Ringing, None));
    assert_eq!(machine.status(), Status::InProgress);
    assert!(effects.iter().all(|effect| matches!(effect, Effect::Record(_))), "{effects:?}");
}

#[test]
fn a_caller_who_leaves_is_followed_by_the_providers_word_and_no_hang_up() {
    let mut machine = inbound();
    machine.handle(10, Input::StreamOpened);
    let left = machine.handle(5_000, Input::StreamClosed(Ended::Caller));
    assert!(!left.contains(&Effect::HangUpAtProvider));
    let effects = machine.handle(5_400, report(Status::Completed, None));
    assert!(effects.contains(&Effect::Finished { status: Status::Completed, reason: "caller".to_owned() }));
}

#[test]
fn a_provider_that_stays_silent_after_the_stream_is_told_to_hang_up() {
    let mut machine = inbound();
    machine.handle(10, Input::StreamOpened);
    machine.handle(5_000, Input::StreamClosed(Ended::Caller));
    assert_eq!(machine.next_deadline(), Some(10_000));
    assert!(machine.handle(10_000, Input::Tick).contains(&Effect::HangUpAtProvider));
    let effects = machine.handle(10_100, Input::HangUpDone);
    assert!(effects.contains(&Effect::Finished { status: Status::Completed, reason: "caller".to_owned() }));
}

#[test]
fn an_agent_that_hangs_up_ends_the_call_at_the_provider() {
    let mut machine = inbound();
    machine.handle(10, Input::StreamOpened);
    assert!(machine.handle(20, Input::StreamClosed(Ended::Agent)).contains(&Effect::HangUpAtProvider));
    let effects = machine.handle(30, Input::HangUpDone);
    assert!(effects.contains(&Effect::Finished { status: Status::Completed, reason: "agent".to_owned() }));
}

#[test]
fn a_hang_up_that_fails_is_tried_again_and_then_given_up_with_a_reason() {
    let mut machine = inbound();
    machine.handle(10, Input::StreamOpened);
    machine.handle(20, Input::HangUpRequested(Ended::Operator));
    machine.handle(30, Input::HangUpFailed);
    let (_, effects) = run_out(&mut machine, 30, &Input::HangUpFailed);
    let asked = effects.iter().filter(|effect| **effect == Effect::HangUpAtProvider).count();
    assert_eq!(asked, 4, "five tries in all");
    assert_eq!(finishes(&effects), 1);
}

#[test]
fn a_place_with_unknown_outcome_is_read_back_and_never_placed_again() {
    let mut machine = CallMachine::new(Direction::Outbound, 0, Limits::default());
    assert!(machine.handle(10_000, Input::PlaceUnknown).contains(&Effect::ReadBack));
    machine.handle(10_100, Input::PlaceFound(None));
    assert!(machine.handle(11_100, Input::Tick).contains(&Effect::ReadBack));
    let found = machine.handle(11_200, Input::PlaceFound(Some("P7".to_owned())));
    let change = Change { provider_id: Some("P7".to_owned()), ..Change::default() };
    assert!(found.contains(&Effect::Store(change)));
    assert!(!machine.is_finished());
}

#[test]
fn a_place_that_is_nowhere_to_be_found_fails() {
    let mut machine = CallMachine::new(Direction::Outbound, 0, Limits::default());
    machine.handle(10, Input::PlaceUnknown);
    machine.handle(20, Input::PlaceFound(None));
    let (_, effects) = run_out(&mut machine, 20, &Input::HangUpDone);
    assert_eq!(machine.status(), Status::Failed);
    assert_eq!(finishes(&effects), 1);
}

#[test]
fn a_hang_up_before_the_provider_answered_is_sent_when_it_does() {
    let mut machine = CallMachine::new(Direction::Outbound, 0, Limits::default());
    assert!(!machine.handle(10, Input::HangUpRequested(Ended::Operator)).contains(&Effect::HangUpAtProvider));
    assert!(machine.handle(20, placed()).contains(&Effect::HangUpAtProvider));
    machine.handle(30, Input::HangUpDone);
    assert_eq!(machine.status(), Status::Canceled);
}

#[test]
fn an_answered_call_without_a_stream_is_ended() {
    let mut machine = CallMachine::new(Direction::Outbound, 0, Limits::default());
    machine.handle(1, placed());
    machine.handle(1_000, report(Status::InProgress, None));
    assert_eq!(machine.next_deadline(), Some(31_000));
    assert!(machine.handle(31_000, Input::Tick).contains(&Effect::HangUpAtProvider));
}

#[test]
fn a_bill_that_comes_after_the_end_is_stored_once() {
    let mut machine = inbound();
    machine.handle(1, report(Status::Completed, None));
    let bill = Report {
        raw: "completed".to_owned(),
        duration: Some(42),
        cost: Some(("0.01".into(), "USD".into())),
        ..Report::default()
    };
    let stores = |effects: Vec<Effect>| effects.iter().filter(|effect| matches!(effect, Effect::Store(_))).count();
    assert_eq!(stores(machine.handle(2, Input::Reported(bill.clone()))), 1);
    assert_eq!(stores(machine.handle(3, Input::Reported(bill))), 0);
}

#[test]
fn a_call_that_is_over_listens_for_a_while_and_its_bill_is_planned_where_it_is_open() {
    let bill_at = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Store(Change { ended_at: Some(_), bill_at, .. }) => Some(*bill_at),
            _ => None,
        })
    };
    let mut machine = inbound();
    assert_eq!(bill_at(&machine.handle(5, report(Status::Completed, None))), Some(Some(10_005)));
    assert_eq!(machine.next_deadline(), Some(10_005));
    assert_eq!(machine.handle(10_005, Input::Tick), []);
    assert_eq!(machine.next_deadline(), None);
    let cost = Some(("0.01".to_owned(), "USD".to_owned()));
    let billed = Report { status: Some(Status::Completed), duration: Some(3), cost, ..Report::default() };
    assert_eq!(bill_at(&inbound().handle(5, Input::Reported(billed))), Some(None));
}

#[test]
fn any_sequence_of_inputs_ends_the_call_exactly_once() {
    let inputs = [
        placed(),
        Input::PlaceUnknown,
        Input::PlaceFound(None),
        Input::ReadBackFailed,
        Input::PlaceFound(Some("P2".to_owned())),
        report(Status::Ringing, None),
        report(Status::InProgress, Some(2)),
        report(Status::Busy, Some(1)),
        report(Status::Completed, None),
        Input::StreamOpened,
        Input::StreamClosed(Ended::Caller),
        Input::StreamClosed(Ended::Fault("plugin".to_owned())),
        Input::HangUpRequested(Ended::Operator),
        Input::HangUpDone,
        Input::HangUpFailed,
        Input::InspectFailed,
        Input::PlaceRefused { reason: "no".to_owned() },
        Input::Tick,
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..20_000 {
        let direction = if round % 2 == 0 { Direction::Inbound } else { Direction::Outbound };
        let mut machine = CallMachine::new(direction, 0, Limits::default());
        let (mut now, mut ends) = (0, 0);
        for _ in 0..12 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            now += seed % 20_000;
            let input = inputs[(seed >> 20) as usize % inputs.len()].clone();
            ends += finishes(&machine.handle(now, input));
        }
        if !machine.is_finished() {
            ends += finishes(&run_out(&mut machine, now, &Input::HangUpFailed).1);
        }
        assert_eq!(ends, 1, "round {round}");
    }
}

fn found(status: Status, provider_known: bool) -> CallMachine {
    let stored = Stored { direction: Direction::Outbound, status, provider_known, began: 0, answered_at: None };
    CallMachine::restore(stored, 1_000_000, Limits::default())
}

#[test]
fn a_call_found_unfinished_at_start_is_settled() {
    for (status, known) in [(Status::InProgress, true), (Status::Initiated, false), (Status::Ringing, true)] {
        let mut machine = found(status, known);
        let (_, effects) = run_out(&mut machine, 1_000_000, &Input::HangUpDone);
        assert_eq!(finishes(&effects), 1, "{status:?}");
    }
}

#[test]
fn a_call_found_unfinished_is_looked_at_before_it_is_hung_up() {
    let mut machine = found(Status::InProgress, true);
    assert_eq!(machine.handle(1_000_000, Input::Tick), vec![Effect::Inspect]);
    let over = machine.clone().handle(1_000_100, report(Status::Completed, None));
    assert_eq!(finishes(&over), 1);
    assert!(!over.contains(&Effect::HangUpAtProvider), "it was over");
    let up = machine.clone().handle(1_000_100, report(Status::InProgress, None));
    assert!(up.contains(&Effect::HangUpAtProvider), "nobody carries its audio");
    assert!(machine.clone().handle(1_000_100, Input::InspectFailed).contains(&Effect::HangUpAtProvider));
    let silent = machine.next_deadline().unwrap();
    assert!(machine.handle(silent, Input::Tick).contains(&Effect::HangUpAtProvider));
}

#[test]
fn a_provider_that_cannot_be_asked_is_asked_for_minutes_before_the_call_is_given_up() {
    let mut machine = CallMachine::new(Direction::Outbound, 0, Limits::default());
    let mut asked = machine.handle(0, Input::PlaceUnknown).contains(&Effect::ReadBack);
    let mut last = 0;
    while !machine.is_finished() {
        if asked {
            machine.handle(last, Input::ReadBackFailed);
        }
        last = machine.next_deadline().unwrap_or(last);
        asked = machine.handle(last, Input::Tick).contains(&Effect::ReadBack);
    }
    assert!(last > 180_000, "{last}");
    // It rang after all: whoever answers hears nobody, so it is ended, as often as it takes.
    assert!(machine.handle(last + 1, placed()).contains(&Effect::HangUpAtProvider));
    machine.handle(last + 2, Input::HangUpFailed);
    let again = machine.next_deadline().unwrap();
    assert!(machine.handle(again, Input::Tick).contains(&Effect::HangUpAtProvider));
}

#[test]
fn an_order_that_never_comes_back_stalls_nothing() {
    let mut machine = inbound();
    machine.handle(0, Input::StreamOpened);
    machine.handle(10, Input::HangUpRequested(Ended::Operator));
    assert_eq!(machine.next_deadline(), Some(30_010), "an answer is overdue then");
    machine.handle(30_010, Input::Tick);
    assert!(machine.handle(31_010, Input::Tick).contains(&Effect::HangUpAtProvider));
    let mut machine = CallMachine::new(Direction::Outbound, 0, Limits::default());
    machine.handle(1, Input::HangUpRequested(Ended::Operator));
    assert!(machine.handle(75_000, Input::Tick).contains(&Effect::ReadBack), "the order's answer was lost");
}

#[test]
fn what_cannot_be_true_of_a_live_call_changes_nothing() {
    let mut machine = inbound();
    machine.handle(0, Input::StreamOpened);
    for input in [
        Input::PlaceRefused { reason: "no".to_owned() },
        Input::HangUpDone,
        Input::HangUpFailed,
        Input::PlaceFound(None),
        Input::ReadBackFailed,
        Input::InspectFailed,
    ] {
        assert_eq!(machine.handle(1, input.clone()), vec![], "{input:?}");
    }
    machine.handle(2, report(Status::InProgress, Some(5)));
    machine.handle(3, report(Status::Completed, Some(4)));
    assert!(!machine.is_finished(), "older news than what is known");
}

#[test]
fn a_call_ends_as_what_it_was() {
    let mut silent = inbound();
    silent.handle(30_000, Input::Tick);
    silent.handle(30_100, Input::HangUpDone);
    assert_eq!(silent.status(), Status::Failed, "the provider never opened a stream");
    let mut unanswered = CallMachine::new(Direction::Outbound, 0, Limits::default());
    unanswered.handle(1, placed());
    unanswered.handle(75_000, Input::Tick);
    unanswered.handle(75_100, Input::HangUpDone);
    assert_eq!(unanswered.status(), Status::NoAnswer);
    let mut busy = CallMachine::new(Direction::Outbound, 0, Limits::default());
    busy.handle(1, Input::Placed { provider_id: "P1".to_owned(), status: Some(Status::Busy) });
    assert_eq!(busy.status(), Status::Busy, "the answer to the order said so");
}

#[test]
fn the_longest_duration_ends_a_call_however_often_the_provider_fails_to() {
    let mut machine = inbound();
    machine.handle(0, Input::StreamOpened);
    let longest = machine.next_deadline().unwrap();
    let effects = machine.handle(longest, Input::Tick);
    assert!(effects.contains(&Effect::CloseStream) && effects.contains(&Effect::HangUpAtProvider), "{effects:?}");
    machine.handle(longest + 1, Input::HangUpFailed);
    let (_, effects) = run_out(&mut machine, longest + 1, &Input::HangUpFailed);
    let asked = effects.iter().filter(|effect| **effect == Effect::HangUpAtProvider).count();
    assert_eq!(asked, 4, "five tries in all");
}

#[test]
fn figures_are_corrected_upwards_and_an_unseen_answer_is_told_from_the_duration() {
    let mut machine = inbound();
    let said = |duration, amount: &str| {
        let cost = Some((amount.to_owned(), "USD".to_owned()));
        let status = Some(Status::Completed);
        Input::Reported(Report { status, raw: "completed".to_owned(), duration, cost, ..Report::default() })
    };
    let effects = machine.handle(60_000, said(Some(42), "0"));
    let answered = effects.iter().find_map(|effect| match effect {
        Effect::Store(Change { answered_at: Some(at), .. }) => Some(*at),
        _ => None,
    });
    assert_eq!(answered, Some(18_000));
    let change = Change { duration: Some(43), cost: Some(("0.02".into(), "USD".into())), ..Change::default() };
    assert_eq!(machine.handle(61_000, said(Some(43), "0.02"))[1], Effect::Store(change));
    let last = machine.handle(62_000, said(Some(0), "0.02"));
    assert!(last.iter().all(|effect| matches!(effect, Effect::Record(_))), "{last:?}");
}
