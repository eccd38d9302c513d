//! Whatever frames come, in whatever pieces: no panic, no growth, the law holds, and the pieces make no difference.

use proptest::prelude::*;

use super::*;

/// Mostly blocks that can be decoded, and what comes near them.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => Just(fields(&ASK)),
        2 => Just(fields(&ANSWER)),
        1 => Just(fields(&STATUS)),
        1 => Just([&[0x20][..], &fields(&ASK)].concat()),
        1 => Just([&frames::indexed("x-kept", "value")[..], &[0xbe, 0xbe]].concat()),
        3 => prop::collection::vec(any::<u8>(), 0..40),
        1 => Just(Vec::new()),
    ]
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![4 => Just(0x1), 4 => Just(0x0), 1 => Just(0x9), 4 => 0u8..12];
    let flags = prop_oneof![
        6 => prop::sample::select(&[0x0, 0x1, 0x4, 0x5, 0x5][..]),
        1 => any::<u8>(),
    ];
    let stream = prop_oneof![6 => prop::sample::select(&[1u32, 1, 3, 5][..]), 1 => 0u32..9];
    (kind, flags, stream, payload()).prop_map(|(kind, flags, stream, payload)| {
        // Lengths and streams as their kinds want them, so that conversations last for some frames.
        let (stream, payload) = match kind {
            0x3 => (stream, vec![0; 4]),
            0x4 => (0, if flags & 1 == 1 { Vec::new() } else { vec![0, 1, 0, 0, 16, 0] }),
            0x6 => (0, vec![0; 8]),
            0x7 => (0, vec![0, 0, 0, 3, 0, 0, 0, 0]),
            _ => (stream, payload),
        };
        Frame::new(kind, flags, stream, &payload).bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn arbitrary_frames_come_to_the_same_in_any_pieces(
        steps in prop::collection::vec((any::<bool>(), frame()), 0..24),
        noise in prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
        cuts in prop::collection::vec(1usize..30, 1..20),
    ) {
        let mut all = greeted([]);
        all.extend(steps.into_iter().map(|(is_client, bytes)| (if is_client { Client } else { Service }, bytes)));
        if let Some((at, byte)) = noise {
            let step = at.index(all.len());
            let bytes = &mut all[step].1;
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = Bench::fed(&all);
        let mut cuts = cuts.iter().copied().cycle();
        let mut pieces = Vec::new();
        for (from, bytes) in &all {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                pieces.push((*from, piece.to_vec()));
                rest = after;
            }
        }
        prop_assert_eq!(Bench::fed(&pieces), whole);
    }
}
