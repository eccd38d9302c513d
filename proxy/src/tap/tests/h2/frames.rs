//! Frames as a peer writes them, well-formed or not.

use super::PREFACE;

/// A frame to be sent.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    pub(super) fn new(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Frame {
        Frame { kind, flags, stream, payload: payload.to_vec() }
    }

    pub(super) fn settings(settings: &[(u16, u32)]) -> Frame {
        let setting = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        Frame::new(0x4, 0, 0, &settings.iter().flat_map(setting).collect::<Vec<u8>>())
    }

    pub(super) fn acknowledge() -> Frame {
        Frame::new(0x4, 0x1, 0, b"")
    }

    pub(super) fn data(stream: u32, bytes: &[u8]) -> Frame {
        Frame::new(0x0, 0, stream, bytes)
    }

    pub(super) fn header_block(stream: u32, block: &[u8]) -> Frame {
        Frame::new(0x1, 0x4, stream, block)
    }

    pub(super) fn continuation(stream: u32, block: &[u8]) -> Frame {
        Frame::new(0x9, 0x4, stream, block)
    }

    pub(super) fn priority(stream: u32) -> Frame {
        Frame::new(0x2, 0, stream, &[0; 5])
    }

    pub(super) fn reset(stream: u32) -> Frame {
        Frame::new(0x3, 0, stream, &8u32.to_be_bytes())
    }

    pub(super) fn ping() -> Frame {
        Frame::new(0x6, 0, 0, b"12345678")
    }

    pub(super) fn go_away(last: u32) -> Frame {
        Frame::new(0x7, 0, 0, &[&last.to_be_bytes()[..], &[0; 4], b"farewell"].concat())
    }

    pub(super) fn window_update(stream: u32) -> Frame {
        Frame::new(0x8, 0, stream, &1u32.to_be_bytes())
    }

    pub(super) fn unknown(kind: u8, payload: &[u8]) -> Frame {
        Frame::new(kind, 0xff, 7, payload)
    }

    pub(super) fn ends_stream(mut self) -> Frame {
        self.flags |= 0x1;
        self
    }

    /// Without the flag that ends a header block.
    pub(super) fn open(mut self) -> Frame {
        self.flags &= !0x4;
        self
    }

    pub(super) fn padded(mut self, length: u8) -> Frame {
        self.flags |= 0x8;
        self.payload.insert(0, length);
        self.payload.extend(std::iter::repeat_n(0, length.into()));
        self
    }

    /// More padding than payload.
    pub(super) fn overpadded(mut self) -> Frame {
        self.flags |= 0x8;
        self.payload.insert(0, 200);
        self
    }

    /// With the fields of a priority, behind the length of the padding.
    pub(super) fn prioritized(mut self) -> Frame {
        self.flags |= 0x20;
        let at = usize::from(self.flags & 0x8 != 0);
        self.payload.splice(at..at, [0, 0, 0, 0, 16]);
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = (self.payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// A client's preface with empty settings.
pub(super) fn preface() -> Vec<u8> {
    [&PREFACE[..], &Frame::settings(&[]).bytes()].concat()
}

pub(super) fn headers(stream: u32, list: &[(&str, &str)]) -> Frame {
    Frame::header_block(stream, &fields(list))
}

/// Plain literals, which change no table.
pub(super) fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    list.iter().flat_map(|(name, value)| literal(0x00, name, value)).collect()
}

/// A literal that goes into the table.
pub(super) fn indexed(name: &str, value: &str) -> Vec<u8> {
    literal(0x40, name, value)
}

fn literal(first: u8, name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![first];
    for text in [name, value] {
        match text.len() {
            short @ 0..127 => block.push(short as u8),
            long => {
                block.push(127);
                let mut rest = long - 127;
                while rest >= 128 {
                    block.push((rest % 128) as u8 | 0x80);
                    rest /= 128;
                }
                block.push(rest as u8);
            }
        }
        block.extend(text.as_bytes());
    }
    block
}
