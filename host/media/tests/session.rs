//! Claims about a call's audio, in virtual time.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use jackfield_media::{AgentMessage, Codec, EndReason, Format, Input, Output, Session, SessionConfig, WireCommand};

const ULAW: Format = Format { codec: Codec::Pcmu, rate: 8_000 };
const L16: Format = Format { codec: Codec::L16, rate: 8_000 };

fn config() -> SessionConfig {
    SessionConfig {
        wire_in: ULAW,
        wire_out: ULAW,
        to_agent: ULAW,
        from_agent: ULAW,
        frame_ms: 20,
        lead_ms: 60,
        hold_ms: 0,
        queue_ms: 30_000,
        no_media_ms: 15_000,
        feed: false,
        record: false,
    }
}

/// So many frames of something that is no silence.
fn speech(frames: usize) -> Vec<u8> {
    vec![0x55; frames * 160]
}

/// A session whose stream has begun.
fn started(config: SessionConfig) -> Session {
    let mut session = Session::new(config, ms(0)).unwrap();
    session.handle(ms(0), Input::WireStarted { wire_in: config.wire_in, wire_out: config.wire_out });
    session
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn drain(session: &mut Session) -> Vec<Output> {
    std::iter::from_fn(|| session.poll_output()).collect()
}

fn audio(outputs: &[Output]) -> Vec<Vec<u8>> {
    let frame = |output: &Output| match output {
        Output::Wire(WireCommand::Audio(frame)) => Some(frame.clone()),
        _ => None,
    };
    outputs.iter().filter_map(frame).collect()
}

fn tick(session: &mut Session, at: u64) -> Vec<Output> {
    session.handle(ms(at), Input::Tick);
    drain(session)
}

#[test]
fn an_echo_gives_every_byte_back_in_order() {
    let mut session = started(config());
    let (mut sent, mut back) = (Vec::new(), Vec::new());
    for index in 0..500u64 {
        let frame: Vec<u8> = (0..160).map(|byte| (index * 7 + byte) as u8).collect();
        session.handle(ms(index * 20 + 3), Input::WireAudio { payload: &frame, sequence: None });
        for output in drain(&mut session) {
            if let Output::Agent(AgentMessage::Audio(bytes)) = output {
                session.handle(ms(index * 20 + 3), Input::AgentAudio(&bytes));
            }
        }
        sent.extend(frame);
        back.extend(audio(&tick(&mut session, (index + 1) * 20)).concat());
    }
    assert_eq!(back, sent);
    assert_eq!(session.stats().underruns, 0);
}

#[test]
fn a_minute_in_one_burst_plays_at_real_time_without_gap_for_its_whole_length() {
    let mut session = started(SessionConfig { queue_ms: 60_000, no_media_ms: 600_000, ..config() });
    session.handle(ms(0), Input::AgentAudio(&vec![1; 60 * 8_000]));
    let mut total = 0;
    for beat in 1..=3_000u64 {
        let frames = audio(&tick(&mut session, beat * 20)).len();
        assert!(frames <= if beat == 1 { 4 } else { 2 }, "beat {beat}: {frames}");
        total += frames;
        let ahead = total as i64 * 20 - (beat as i64 - 1) * 20;
        assert!((0..=80).contains(&ahead) || total == 3_000, "beat {beat}: {ahead} ms ahead");
    }
    assert_eq!(total, 3_000);
}

#[test]
fn a_late_tick_is_caught_up_and_nothing_drifts_in_an_hour() {
    let mut session = started(SessionConfig { queue_ms: 4_000_000, no_media_ms: 4_000_000, ..config() });
    session.handle(ms(0), Input::AgentAudio(&vec![1; 3_600 * 8_000]));
    let (mut total, mut seed) = (0u64, 1u64);
    for beat in 1..=180_000u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // One tick in a hundred is up to 30 ms late.
        let late = if seed >> 33 & 127 == 0 { seed >> 40 & 31 } else { 0 };
        total += audio(&tick(&mut session, beat * 20 + late)).len() as u64;
    }
    assert!(total >= 179_990, "{total} of 180000 frames after an hour");
    assert_eq!(session.stats().underruns, 0);
}

#[test]
fn barge_in_drops_what_is_queued_and_answers_every_mark_once() {
    let mut session = started(config());
    session.handle(ms(0), Input::AgentAudio(&[1; 320]));
    session.handle(ms(0), Input::AgentMark("first".to_owned()));
    session.handle(ms(0), Input::AgentAudio(&[2; 16_000]));
    session.handle(ms(0), Input::AgentMark("second".to_owned()));
    let placed = tick(&mut session, 20);
    assert!(placed.contains(&Output::Wire(WireCommand::Mark("m1".to_owned()))), "{placed:?}");
    session.handle(ms(30), Input::AgentClear);
    let cleared = drain(&mut session);
    let mark = |name: &str, cleared| Output::Agent(AgentMessage::Mark { name: name.to_owned(), cleared });
    assert_eq!(cleared, [Output::Wire(WireCommand::Clear), mark("first", true), mark("second", true)]);
    // The provider returns the mark because of the clear: that is no news.
    session.handle(ms(31), Input::WireMark("m1"));
    assert_eq!(drain(&mut session), []);
    assert_eq!(audio(&tick(&mut session, 40)), Vec::<Vec<u8>>::new());
    assert!(session.heard_ms() <= 10, "{} ms heard", session.heard_ms());
}

#[test]
fn a_mark_is_reported_when_the_provider_played_it_and_at_once_when_nothing_is_before_it() {
    let mut session = started(config());
    session.handle(ms(0), Input::AgentMark("now".to_owned()));
    assert_eq!(drain(&mut session), [Output::Wire(WireCommand::Mark("m1".to_owned()))]);
    session.handle(ms(5), Input::WireMark("m1"));
    let played = AgentMessage::Mark { name: "now".to_owned(), cleared: false };
    assert_eq!(drain(&mut session), [Output::Agent(played)]);
    session.handle(ms(6), Input::WireMark("m1"));
    assert_eq!(drain(&mut session), []);
}

#[test]
fn a_stalling_agent_is_counted_and_a_pause_is_not() {
    let mut session = started(SessionConfig { lead_ms: 0, ..config() });
    for (at, gap) in [(0, 0), (80, 1), (1_000, 1)] {
        session.handle(ms(at), Input::AgentAudio(&[1; 160]));
        for beat in at / 20 + 1..at / 20 + 4 {
            tick(&mut session, beat * 20);
        }
        assert_eq!(session.stats().underruns, gap, "audio at {at} ms");
    }
}

#[test]
fn a_start_is_held_back_and_the_rest_of_speech_is_padded() {
    let mut session = started(SessionConfig { hold_ms: 40, ..config() });
    session.handle(ms(0), Input::AgentAudio(&[1; 100]));
    assert_eq!(audio(&tick(&mut session, 20)).len(), 0);
    let frames = audio(&tick(&mut session, 40));
    assert_eq!(frames, [[vec![1; 100], vec![0xFF; 60]].concat()]);
}

#[test]
fn bad_audio_is_dropped_and_counted_and_the_call_goes_on() {
    let mut session = started(SessionConfig { to_agent: L16, from_agent: L16, ..config() });
    session.handle(ms(0), Input::WireAudio { payload: &[], sequence: None });
    session.handle(ms(0), Input::AgentAudio(&[1, 2, 3]));
    session.handle(ms(0), Input::WireAudio { payload: &[0x1E], sequence: None });
    assert_eq!(drain(&mut session), [Output::Agent(AgentMessage::Audio((-8_828i16).to_le_bytes().to_vec()))]);
    assert_eq!(session.stats().bad, 2);
}

#[test]
fn a_provider_that_floods_is_cut_to_one_and_a_half_times_real_time() {
    let mut session = started(config());
    let mut taken = 0;
    for index in 0..5_000u64 {
        // Ten times real time.
        session.handle(ms(index * 2), Input::WireAudio { payload: &[1; 160], sequence: None });
        taken += drain(&mut session).len() as u64;
    }
    assert!((840..=860).contains(&taken), "{taken} frames of 20 ms in 10 s");
    assert_eq!(session.stats().dropped, 5_000 - taken);
}

#[test]
fn an_agent_cannot_queue_more_than_the_cap() {
    let mut session = started(SessionConfig { queue_ms: 1_000, ..config() });
    session.handle(ms(0), Input::AgentAudio(&vec![1; 80_000]));
    assert!(session.agent_backpressure());
    assert_eq!(session.stats().dropped, 1);
    let played: usize = (1..200).map(|beat| audio(&tick(&mut session, beat * 20)).len()).sum();
    assert_eq!(played, 50);
}

#[test]
fn the_last_words_are_heard_before_the_agent_hangs_up() {
    let mut session = started(SessionConfig { lead_ms: 0, ..config() });
    session.handle(ms(0), Input::AgentAudio(&[1; 480]));
    session.handle(ms(0), Input::AgentHangUp { after_playout: true });
    let mut frames = 0;
    for beat in 1.. {
        let outputs = tick(&mut session, beat * 20);
        frames += audio(&outputs).len();
        if outputs.contains(&Output::End(EndReason::AgentHungUp)) {
            assert_eq!((frames, beat), (3, 4));
            return;
        }
    }
}

#[test]
fn every_end_comes_once_and_nothing_follows_it() {
    let ends: [(Input<'_>, EndReason); 6] = [
        (Input::WireStopped, EndReason::CallerHungUp),
        (Input::WireClosed, EndReason::CallerHungUp),
        (Input::AgentHangUp { after_playout: false }, EndReason::AgentHungUp),
        (Input::AgentClosed { normal: false }, EndReason::AgentLost),
        (Input::HangUp, EndReason::HostHungUp),
        (Input::WireStarted { wire_in: Format { rate: 7_000, ..ULAW }, wire_out: ULAW }, EndReason::Unplayable),
    ];
    for (input, reason) in ends {
        let mut session = started(config());
        session.handle(ms(1), input);
        let outputs = drain(&mut session);
        assert_eq!(outputs.last(), Some(&Output::End(reason)));
        session.handle(ms(2), Input::WireAudio { payload: &[1; 160], sequence: None });
        session.handle(ms(2), Input::HangUp);
        assert_eq!(drain(&mut session), []);
    }
}

#[test]
fn a_provider_that_sends_nothing_is_given_up_on() {
    let mut session = started(config());
    assert!(tick(&mut session, 15_000).is_empty());
    assert!(tick(&mut session, 15_020).contains(&Output::End(EndReason::NoMedia)));
}

#[test]
fn a_recording_has_both_sides_in_time_and_not_what_was_cut_off() {
    let mut session = started(SessionConfig { record: true, lead_ms: 60, ..config() });
    session.handle(ms(0), Input::AgentAudio(&[0x1E; 1_600]));
    let (mut caller_side, mut agent_side) = (Vec::new(), Vec::new());
    for beat in 1..=10u64 {
        session.handle(ms(beat * 20 - 1), Input::WireAudio { payload: &[0x9E; 160], sequence: None });
        if beat == 4 {
            session.handle(ms(79), Input::AgentClear);
        }
        for output in tick(&mut session, beat * 20) {
            if let Output::Record { caller, agent } = output {
                assert_eq!(caller.len(), agent.len());
                caller_side.extend(caller);
                agent_side.extend(agent);
            }
        }
    }
    assert_eq!(caller_side.len(), 1_600);
    assert!(caller_side.iter().all(|sample| *sample == 8_828));
    let heard = agent_side.iter().filter(|sample| **sample == -8_828).count();
    // From the first beat at 20 ms to the barge-in at 79 ms.
    assert_eq!(heard, 59 * 8);
}

#[test]
fn a_greeting_that_comes_before_the_stream_is_heard_whole_once_it_has_begun() {
    let mut session = Session::new(config(), ms(0)).unwrap();
    session.handle(ms(0), Input::AgentAudio(&[7; 320]));
    session.handle(ms(0), Input::AgentMark("greeted".to_owned()));
    assert_eq!(tick(&mut session, 20), []);
    session.handle(ms(30), Input::WireStarted { wire_in: ULAW, wire_out: ULAW });
    let outputs = tick(&mut session, 40);
    assert_eq!(audio(&outputs).concat(), vec![7; 320]);
    assert_eq!(outputs.last(), Some(&Output::Wire(WireCommand::Mark("m1".to_owned()))));
}

#[test]
fn speech_in_odd_lumps_is_not_padded_in_its_middle() {
    for lump in [20u64, 30, 50, 137] {
        let mut session = started(SessionConfig { hold_ms: 40, ..config() });
        let (mut said, mut heard) = (Vec::new(), Vec::new());
        for now in 0..6_000u64 {
            if now % lump == 0 {
                let bytes: Vec<u8> = (0..lump * 8).map(|byte| (now + byte) as u8 & 0x7F).collect();
                session.handle(ms(now), Input::AgentAudio(&bytes));
                session.handle(ms(now), Input::WireAudio { payload: &[1; 8], sequence: None });
                said.extend(bytes);
            }
            if now % 20 == 7 {
                heard.extend(audio(&tick(&mut session, now)).concat());
            }
        }
        assert!(said.starts_with(&heard) && heard.len() > 40_000, "lumps of {lump} ms");
    }
}

#[test]
fn an_agent_that_said_goodbye_may_drop_its_socket() {
    let mut session = started(config());
    session.handle(ms(0), Input::AgentAudio(&[1; 320]));
    session.handle(ms(0), Input::AgentHangUp { after_playout: true });
    session.handle(ms(1), Input::AgentClosed { normal: false });
    assert_eq!(audio(&tick(&mut session, 20)).len(), 2);
    assert!(tick(&mut session, 60).contains(&Output::End(EndReason::AgentHungUp)));
}

fn tone(rate: u32, from: u32, count: u32) -> Vec<i16> {
    let sample = |n: u32| 10_000.0 * (std::f64::consts::TAU * 1_000.0 * f64::from(n) / f64::from(rate)).sin();
    (from..from + count).map(|n| sample(n) as i16).collect()
}

/// The share of the power that a 1 kHz tone explains.
fn purity(samples: &[i16], rate: u32) -> f64 {
    let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
    for (n, sample) in (0u32..).zip(samples) {
        let angle = std::f64::consts::TAU * 1_000.0 * f64::from(n) / f64::from(rate);
        let sample = f64::from(*sample);
        re += sample * angle.cos();
        im += sample * angle.sin();
        power += sample * sample;
    }
    (re * re + im * im) * 2.0 / (samples.len() as f64 * power)
}

#[test]
fn an_agent_at_another_rate_hears_and_is_heard() {
    let wide = |rate| Format { codec: Codec::L16, rate };
    for (to_agent, from_agent) in [(wide(16_000), wide(24_000)), (wide(24_000), wide(16_000)), (wide(48_000), ULAW)] {
        let mut session = started(SessionConfig { to_agent, from_agent, ..config() });
        let (mut heard, mut said) = (Vec::new(), Vec::new());
        for beat in 0..100u32 {
            let frame = ULAW.encode(&tone(8_000, beat * 160, 160));
            session.handle(ms(u64::from(beat) * 20), Input::WireAudio { payload: &frame, sequence: None });
            let samples = from_agent.rate / 50;
            let speech = from_agent.encode(&tone(from_agent.rate, beat * samples, samples));
            session.handle(ms(u64::from(beat) * 20), Input::AgentAudio(&speech));
            let outputs = tick(&mut session, u64::from(beat) * 20 + 1);
            said.extend(audio(&outputs).concat());
            for output in outputs {
                if let Output::Agent(AgentMessage::Audio(bytes)) = output {
                    heard.extend(to_agent.decode(&bytes));
                }
            }
        }
        let said = ULAW.decode(&said);
        assert!(said.len() >= 95 * 160 && heard.len() as u32 >= 99 * to_agent.rate / 50);
        assert!(purity(&said[800..], 8_000) > 0.99, "{from_agent:?} to the wire");
        assert!(purity(&heard[4_800..], to_agent.rate) > 0.99, "the wire to {to_agent:?}");
        assert_eq!(session.stats().underruns, 0);
    }
}

#[test]
fn the_end_of_a_sentence_is_not_kept_in_the_converter() {
    let from_agent = Format { codec: Codec::L16, rate: 16_000 };
    let mut session = started(SessionConfig { from_agent, ..config() });
    session.handle(ms(0), Input::AgentAudio(&from_agent.encode(&tone(16_000, 0, 1_600))));
    let said: Vec<u8> = (1..15).flat_map(|beat| audio(&tick(&mut session, beat * 20))).flatten().collect();
    let loud = ULAW.decode(&said).iter().rposition(|sample| sample.unsigned_abs() > 4_000).unwrap();
    assert!(loud >= 795, "the last of 800 samples that is loud is {loud}");
    assert!(said.len() <= 7 * 160, "{} bytes", said.len());
}

#[test]
fn a_stream_of_another_format_than_was_announced_is_followed() {
    let mut session = started(SessionConfig { record: true, ..config() });
    session.handle(ms(0), Input::AgentMark("early".to_owned()));
    assert!(drain(&mut session).contains(&Output::Wire(WireCommand::Mark("m1".to_owned()))));
    let wide = Format { codec: Codec::L16, rate: 16_000 };
    session.handle(ms(5), Input::WireStarted { wire_in: wide, wire_out: wide });
    let early = Output::Agent(AgentMessage::Mark { name: "early".to_owned(), cleared: true });
    assert_eq!(drain(&mut session), [early]);
    session.handle(ms(6), Input::AgentAudio(&ULAW.encode(&tone(8_000, 0, 320))));
    session.handle(ms(6), Input::AgentMark("late".to_owned()));
    session.handle(ms(6), Input::WireAudio { payload: &wide.encode(&tone(16_000, 0, 640)), sequence: None });
    let outputs: Vec<Output> = (1..6).flat_map(|beat| tick(&mut session, beat * 20)).collect();
    assert!(audio(&outputs).iter().all(|frame| frame.len() == 640));
    // Names go on, so that an answer to an old mark is not taken for one to a new.
    assert!(outputs.contains(&Output::Wire(WireCommand::Mark("m2".to_owned()))), "{outputs:?}");
    for output in outputs {
        if let Output::Record { caller, agent } = output {
            assert_eq!((caller.len(), agent.len()), (160, 160), "the tape keeps its rate");
        }
    }
}

#[test]
fn a_mark_that_no_provider_returns_goes_by_the_clock() {
    let mut session = started(config());
    session.handle(ms(0), Input::AgentAudio(&speech(4)));
    session.handle(ms(0), Input::AgentMark("said".into()));
    let mut marks = Vec::new();
    for tick in 1..200 {
        session.handle(ms(tick * 20), Input::Tick);
        while let Some(output) = session.poll_output() {
            match output {
                Output::Wire(WireCommand::Mark(id)) => session.mark_untold(&id),
                Output::Agent(AgentMessage::Mark { name, cleared }) => marks.push((tick * 20, name, cleared)),
                _ => {}
            }
        }
    }
    assert_eq!(marks.len(), 1, "{marks:?}");
    let (at, name, cleared) = &marks[0];
    assert!(name == "said" && !cleared && (80..=240).contains(at), "{marks:?}");
}

#[test]
fn a_mark_that_a_provider_forgot_is_answered_after_a_while_and_once() {
    let mut session = started(config());
    session.handle(ms(0), Input::AgentAudio(&speech(4)));
    session.handle(ms(0), Input::AgentMark("said".into()));
    let (mut id, mut marks) = (None, Vec::new());
    for tick in 1..300 {
        session.handle(ms(tick * 20), Input::Tick);
        session.handle(ms(tick * 20), Input::WireAudio { payload: &[0xFF; 160], sequence: None });
        while let Some(output) = session.poll_output() {
            match output {
                Output::Wire(WireCommand::Mark(placed)) => id = Some(placed),
                Output::Agent(AgentMessage::Mark { name, .. }) => marks.push((tick * 20, name)),
                _ => {}
            }
        }
    }
    assert_eq!(marks.len(), 1, "{marks:?}");
    assert!((2_000..=2_400).contains(&marks[0].0), "{marks:?}");
    session.handle(ms(6_000), Input::WireMark(&id.unwrap()));
    assert!(session.poll_output().is_none(), "what was answered is not answered again");
}

#[test]
fn marks_beyond_a_thousand_are_answered_at_once_and_counted() {
    let mut session = started(config());
    session.handle(ms(0), Input::AgentAudio(&speech(50)));
    for mark in 0..1_200 {
        session.handle(ms(0), Input::AgentMark(mark.to_string()));
    }
    let cleared = std::iter::from_fn(|| session.poll_output())
        .filter(|output| matches!(output, Output::Agent(AgentMessage::Mark { cleared: true, .. })))
        .count();
    assert_eq!((cleared, session.stats().dropped), (200, 200));
}

#[test]
fn an_agents_clock_goes_on_through_a_hole_and_the_hole_is_counted() {
    let mut session = started(SessionConfig { feed: true, ..config() });
    let mut heard = 0;
    for tick in 1..=100 {
        // Half a second of two is missing.
        if !(25..50).contains(&tick) {
            session.handle(ms(tick * 20), Input::WireAudio { payload: &[0x55; 160], sequence: None });
        }
        session.handle(ms(tick * 20), Input::Tick);
        while let Some(output) = session.poll_output() {
            if let Output::Agent(AgentMessage::Audio(audio)) = output {
                heard += audio.len();
            }
        }
    }
    let frames = heard / 160;
    assert!((95..=101).contains(&frames), "{frames} frames of two seconds");
    let stats = session.stats();
    assert_eq!(stats.concealed, 3);
    assert!((17..=22).contains(&stats.filled), "{stats:?}");
}

#[test]
fn a_sound_is_heard_under_the_voice_and_in_its_pauses_and_counts_as_nothing_said() {
    let mut session = started(SessionConfig { wire_out: L16, from_agent: L16, ..config() });
    session.ambient(jackfield_media::Ambient::new(vec![1_000i16; 800].into(), 8_000, 0.0));
    let mut frames = Vec::new();
    for index in 1..=100u64 {
        if index == 50 {
            session.handle(ms(index * 20), Input::AgentAudio(&L16.encode(&[4_000; 1_600])));
        }
        session.handle(ms(index * 20), Input::WireAudio { payload: &[0xFF; 160], sequence: None });
        frames.extend(audio(&tick(&mut session, index * 20)));
    }
    let levels: Vec<i16> = frames.iter().map(|frame| L16.decode(frame)[80]).collect();
    assert!((100..=104).contains(&levels.len()), "{} frames of two seconds", levels.len());
    assert_eq!(levels.iter().filter(|level| **level == 5_000).count(), 10, "{levels:?}");
    assert_eq!(levels.iter().filter(|level| **level == 1_000).count(), levels.len() - 10);
    assert_eq!(session.heard_ms(), 200);
    assert_eq!(session.stats().frames_out, 10);
}

#[test]
fn a_barge_in_leaves_the_background() {
    let mut session = started(SessionConfig { wire_out: L16, from_agent: L16, ..config() });
    session.ambient(jackfield_media::Ambient::new(vec![1_000i16; 800].into(), 8_000, 0.0));
    session.handle(ms(0), Input::AgentAudio(&L16.encode(&[4_000; 16_000])));
    tick(&mut session, 20);
    session.handle(ms(30), Input::AgentClear);
    drain(&mut session);
    let levels: Vec<i16> = (2..=20u64)
        .flat_map(|index| {
            session.handle(ms(index * 20), Input::WireAudio { payload: &[0xFF; 160], sequence: None });
            audio(&tick(&mut session, index * 20))
        })
        .map(|frame| L16.decode(&frame)[80])
        .collect();
    assert!(levels.len() > 15 && levels.iter().all(|level| *level == 1_000), "{levels:?}");
}

/// A sentence: a voice of 125 Hz with a short pause every half second.
fn sentence(frames: u64) -> Vec<Vec<u8>> {
    let sample = |n: u64| {
        let pause = n % 4_000 >= 3_360;
        let angle = std::f64::consts::TAU * 125.0 * n as f64 / 8_000.0;
        if pause { 0 } else { (6_000.0 * angle.sin() + 2_000.0 * (3.0 * angle).sin()) as i16 }
    };
    (0..frames).map(|frame| L16.encode(&(frame * 160..frame * 160 + 160).map(sample).collect::<Vec<_>>())).collect()
}

/// Gaps that the caller hears of a bot that speaks in real time, and stands still for 60 ms of every second.
fn gaps(elastic: bool) -> (u64, u64) {
    let mut session = started(SessionConfig { wire_out: L16, from_agent: L16, hold_ms: 40, lead_ms: 100, ..config() });
    session.elastic(elastic);
    let (mut owed, mut gaps, mut speaking) = (std::collections::VecDeque::from(sentence(500)), 0, false);
    let mut heard_until = 0;
    for index in 1..=600u64 {
        let now = index * 20;
        session.handle(ms(now), Input::WireAudio { payload: &[0xFF; 160], sequence: None });
        // What it did not say while it stood still it never catches up with.
        let stalls = index % 50 >= 47;
        if let Some(frame) = owed.front().filter(|_| !stalls) {
            session.handle(ms(now), Input::AgentAudio(frame));
            owed.pop_front();
        }
        let sent = audio(&tick(&mut session, now)).len() as u64;
        speaking |= sent > 0;
        heard_until = heard_until.max(now) + sent * 20;
        gaps += u64::from(speaking && owed.len() > 5 && heard_until <= now);
    }
    (gaps, session.stats().healed_ms)
}

#[test]
fn a_bot_that_stands_still_for_60_ms_of_every_second_is_not_heard_to() {
    let (before, _) = gaps(false);
    let (after, healed) = gaps(true);
    assert!(before >= 5, "without it, gaps are heard: {before}");
    assert_eq!(after, 0, "{healed} ms were added");
    assert!(healed > 400, "{healed}");
}

#[test]
fn another_agent_hears_from_now_on_and_what_the_first_one_said_is_still_heard() {
    let mut session = started(config());
    session.handle(ms(0), Input::AgentAudio(&speech(10)));
    tick(&mut session, 5_000);
    assert!(session.another_agent(ms(5_000), L16, L16, true));
    let (mut heard, mut said) = (0, 0);
    for index in 251..=300u64 {
        session.handle(ms(index * 20), Input::WireAudio { payload: &[0x55; 160], sequence: None });
        let outputs = tick(&mut session, index * 20);
        said += audio(&outputs).len();
        let is_agents =
            |output: &&Output| matches!(output, Output::Agent(AgentMessage::Audio(audio)) if audio.len() == 320);
        heard += outputs.iter().filter(is_agents).count();
    }
    assert_eq!(heard, 50, "nothing is made up for the five seconds before");
    assert!(said >= 5, "{said} frames of the first agent were left");
}

/// Real speech as a caller's frames, after so many frames of line noise.
fn caller(noise: usize) -> Vec<Vec<u8>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/speech/hello.wav");
    let mut wav = hound::WavReader::open(path).unwrap();
    let step = usize::try_from(wav.spec().sample_rate / 8_000).unwrap();
    let speech: Vec<i16> = wav.samples::<i16>().map(Result::unwrap).step_by(step).collect();
    let hiss = (0..noise * 160).map(|index| i16::try_from(index * 7_919 % 61).unwrap() - 30);
    let samples: Vec<i16> = hiss.chain(speech).collect();
    samples.chunks_exact(160).map(|frame| ULAW.encode(frame)).collect()
}

/// Feeds a caller to a session whose agent goes on and on, and says at which frame the host cut it.
fn talked_over(session: &mut Session, frames: &[Vec<u8>]) -> (Option<usize>, usize) {
    let (mut cut, mut after) = (None, 0);
    for (index, frame) in frames.iter().enumerate() {
        let at = u64::try_from(index).unwrap() * 20;
        session.handle(ms(at), Input::WireAudio { payload: frame, sequence: None });
        session.handle(ms(at), Input::AgentAudio(&speech(1)));
        session.handle(ms(at + 10), Input::Tick);
        for output in drain(session) {
            match output {
                Output::Agent(AgentMessage::BargeIn) => cut = Some(index),
                Output::Wire(WireCommand::Audio(_)) if cut.is_some() => after += 1,
                _ => {}
            }
        }
    }
    (cut, after)
}

#[test]
fn the_host_hears_a_caller_speak_into_an_agents_words_and_cuts_them() {
    let mut session = started(config());
    session.listen(true);
    let frames = caller(50);
    let (cut, after) = talked_over(&mut session, &frames[..100]);
    let cut = cut.unwrap();
    assert!(cut > 50, "noise is no speech: cut at frame {cut}");
    assert_eq!(after, 0, "what it goes on to say is not heard while the caller speaks");
    let stats = session.stats();
    assert!(stats.hushed > 0 && stats.flushes == 1, "{stats:?}");
    let silent = stats.silence_ms.unwrap();
    assert!((128..400).contains(&silent), "counted from where the caller began: {silent} ms");
}

#[test]
fn noise_and_a_caller_whom_nobody_listens_for_cut_nothing() {
    let mut session = started(config());
    session.listen(true);
    assert_eq!(talked_over(&mut session, &caller(500)[..500]).0, None);
    let mut session = started(config());
    assert_eq!(talked_over(&mut session, &caller(0)[..150]).0, None);
}

#[test]
fn the_time_to_silence_is_what_the_provider_confirms_or_what_it_holds() {
    let mut confirmed = started(config());
    confirmed.handle(ms(0), Input::AgentAudio(&speech(50)));
    tick(&mut confirmed, 20);
    confirmed.handle(ms(30), Input::AgentClear);
    assert_eq!(confirmed.stats().silence_ms, Some(0));
    confirmed.handle(ms(75), Input::WireCleared);
    assert_eq!(confirmed.stats().silence_ms, Some(45));
    let mut untold = started(config());
    untold.handle(ms(0), Input::AgentAudio(&speech(50)));
    tick(&mut untold, 20);
    untold.handle(ms(30), Input::AgentClear);
    untold.clear_untold(ms(30));
    let silent = untold.stats().silence_ms.unwrap();
    assert!((40..=60).contains(&silent), "the lead is heard to its end: {silent} ms");
}

#[test]
fn a_caller_on_hold_hears_a_tone_and_neither_hears_the_other() {
    let mut session = started(config());
    session.hold(ms(0), true);
    let mut tone = Vec::new();
    for index in 0..25u64 {
        session.handle(ms(index * 20), Input::WireAudio { payload: &speech(1), sequence: None });
        session.handle(ms(index * 20), Input::AgentAudio(&speech(1)));
        session.handle(ms(index * 20 + 10), Input::Tick);
        for output in drain(&mut session) {
            match output {
                Output::Agent(AgentMessage::Audio(heard)) => assert!(heard.iter().all(|byte| *byte == 0xff), "silence"),
                Output::Wire(WireCommand::Audio(frame)) => tone.extend(frame),
                _ => {}
            }
        }
    }
    assert!(tone.len() >= 20 * 160 && !tone.windows(3).any(|part| part == [0x55; 3]), "only the tone is heard");
    session.hold(ms(500), false);
    session.handle(ms(600), Input::AgentAudio(&speech(3)));
    let back = (31..36).flat_map(|at| audio(&tick(&mut session, at * 20))).collect::<Vec<_>>();
    assert_eq!(back.concat(), speech(3), "the agent is heard again");
}
