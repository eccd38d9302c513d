//! What the descriptors of a service say of its messages, with what the policy says of their fields.

use std::collections::HashMap;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use serde::{Deserialize, Serialize};

use super::wire::WireType;

/// What happens to a field, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::sanitize) enum FieldRule {
    /// Text as a kept JSON string; numbers, and bytes that are no text, as they are.
    Keep,
    /// Only what the detectors find is replaced.
    FreeText,
    /// Text in shape; numbers, and bytes that are no text, by zeros.
    Replace,
    /// Taken out of its message.
    Drop,
}

/// What happens to fields that the descriptors do not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::sanitize) enum UnknownFields {
    /// Taken out of their message.
    #[default]
    Drop,
    /// The exchange is not recorded.
    Refuse,
}

/// Messages and methods of the services that the policy describes.
#[derive(Clone, Debug, Default)]
pub(in crate::sanitize) struct Schema {
    messages: Vec<Message>,
    /// Input and output by path: `/package.Service/Method`.
    methods: HashMap<Box<str>, (MessageId, MessageId)>,
    /// What happens to fields that nothing here describes.
    pub(in crate::sanitize) unknown: UnknownFields,
}

/// A message of a [`Schema`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sanitize) struct MessageId(usize);

#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    name: Box<str>,
    /// By number.
    pub(super) fields: Vec<Field>,
    /// A key and its value, in a field that is a map.
    pub(super) is_entry: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: Box<str>,
    pub(super) repeated: bool,
    pub(super) kind: Kind,
    pub(super) rule: Option<FieldRule>,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Message(MessageId),
    String,
    Bytes,
    Number(Number),
    /// Of `proto2`; never read.
    Group,
}

/// What bits mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// Truth values and enumerations: they name nobody.
    Plain,
    Signed,
    Unsigned,
    ZigZag,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
}

/// Why descriptors or what is said of them cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::sanitize) enum SchemaError {
    #[error("not a set of file descriptors, as `protoc --descriptor_set_out` writes")]
    NotDescriptors,
    #[error("`{0}` is used and not described: write the set with `protoc --include_imports`")]
    Missing(String),
    #[error("no message of the descriptors has a field `{0}`; write `package.Message.field`")]
    NoField(String),
    #[error("`{0}` is a message: it can be dropped as a whole, or its own fields named")]
    IsMessage(String),
    #[error("`{0}` is a number: it can be `keep`, `replace` or `drop`")]
    IsNumber(String),
}

// === impl Schema ===

impl Schema {
    /// Adds what a file of descriptors holds.
    pub(in crate::sanitize) fn add(&mut self, file: &[u8]) -> Result<(), SchemaError> {
        let set = FileDescriptorSet::decode(file).map_err(|_| SchemaError::NotDescriptors)?;
        if set.file.is_empty() {
            return Err(SchemaError::NotDescriptors);
        }
        let mut described = Vec::new();
        for file in &set.file {
            let scope = scope_of(file);
            file.message_type.iter().for_each(|message| collect(&scope, message, &mut described));
        }
        let first = self.messages.len();
        let ids: HashMap<String, MessageId> =
            described.iter().enumerate().map(|(n, (name, _))| (name.clone(), MessageId(first + n))).collect();
        let id = |name: &str| {
            let name = name.trim_start_matches('.');
            ids.get(name).copied().ok_or_else(|| SchemaError::Missing(name.to_owned()))
        };
        for (name, message) in &described {
            let mut fields =
                message.field.iter().map(|field| Field::of(field, &id)).collect::<Result<Vec<_>, _>>()?;
            fields.sort_unstable_by_key(|field| field.number);
            let is_entry = message.options.as_ref().is_some_and(|options| options.map_entry());
            self.messages.push(Message { name: name.as_str().into(), fields, is_entry });
        }
        for file in &set.file {
            let scope = scope_of(file);
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{scope}{}/{}", service.name(), method.name());
                    self.methods.insert(path.into(), (id(method.input_type())?, id(method.output_type())?));
                }
            }
        }
        Ok(())
    }

    /// Sets what happens to a field, named in full.
    pub(in crate::sanitize) fn rule(&mut self, full: &str, rule: FieldRule) -> Result<(), SchemaError> {
        let (message, name) = full.rsplit_once('.').unwrap_or(("", full));
        let is_map =
            |kind: Kind, messages: &[Message]| matches!(kind, Kind::Message(id) if messages[id.0].is_entry);
        let entries: Vec<bool> = self
            .messages
            .iter()
            .flat_map(|m| m.fields.iter().filter(|f| *m.name == *message && *f.name == *name))
            .map(|f| is_map(f.kind, &self.messages))
            .collect();
        let found = self.messages.iter_mut().filter(|m| *m.name == *message);
        let fields = found.flat_map(|m| m.fields.iter_mut()).filter(|f| *f.name == *name);
        let mut any = false;
        for (field, is_map) in fields.zip(entries) {
            match (field.kind, rule) {
                (_, FieldRule::Drop) => {}
                (Kind::Message(_) | Kind::Group, _) if !is_map => {
                    return Err(SchemaError::IsMessage(full.to_owned()));
                }
                (Kind::Number(_), FieldRule::FreeText) => return Err(SchemaError::IsNumber(full.to_owned())),
                _ => {}
            }
            field.rule = Some(rule);
            any = true;
        }
        if any { Ok(()) } else { Err(SchemaError::NoField(full.to_owned())) }
    }

    /// The input and the output of the method that a request target names.
    pub(super) fn method(&self, target: &[u8]) -> Option<(MessageId, MessageId)> {
        self.methods.get(std::str::from_utf8(target).ok()?).copied()
    }

    pub(super) fn message(&self, id: MessageId) -> &Message {
        &self.messages[id.0]
    }

    /// How many methods there are.
    pub(in crate::sanitize) fn methods(&self) -> usize {
        self.methods.len()
    }
}

// === impl Message ===

impl Message {
    /// The field of a number: its place among the fields, and itself.
    pub(super) fn field(&self, number: u32) -> Option<(usize, &Field)> {
        let at = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        Some((at, &self.fields[at]))
    }

    /// The full name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

// === impl Field ===

impl Field {
    fn of(
        field: &prost_types::FieldDescriptorProto,
        id: &impl Fn(&str) -> Result<MessageId, SchemaError>,
    ) -> Result<Self, SchemaError> {
        let kind = match field.r#type() {
            Type::Message => Kind::Message(id(field.type_name())?),
            Type::Group => Kind::Group,
            Type::String => Kind::String,
            Type::Bytes => Kind::Bytes,
            Type::Bool | Type::Enum => Kind::Number(Number::Plain),
            Type::Int32 | Type::Int64 => Kind::Number(Number::Signed),
            Type::Uint32 | Type::Uint64 => Kind::Number(Number::Unsigned),
            Type::Sint32 | Type::Sint64 => Kind::Number(Number::ZigZag),
            Type::Fixed32 => Kind::Number(Number::Fixed32),
            Type::Fixed64 => Kind::Number(Number::Fixed64),
            Type::Sfixed32 => Kind::Number(Number::Sfixed32),
            Type::Sfixed64 => Kind::Number(Number::Sfixed64),
            Type::Float => Kind::Number(Number::Float),
            Type::Double => Kind::Number(Number::Double),
        };
        Ok(Self {
            number: u32::try_from(field.number()).map_err(|_| SchemaError::NotDescriptors)?,
            name: field.name().into(),
            repeated: field.label() == Label::Repeated,
            kind,
            rule: None,
        })
    }

    /// Whether a value written so is one of this field; else a reader takes it for an unknown one.
    pub(super) fn is_written_as(&self, wire: WireType) -> bool {
        match self.kind {
            Kind::Message(_) | Kind::String | Kind::Bytes => wire == WireType::Bytes,
            Kind::Group => false,
            Kind::Number(number) => wire == number.wire() || self.repeated && wire == WireType::Bytes,
        }
    }
}

// === impl Number ===

impl Number {
    /// How one is written.
    pub(super) fn wire(self) -> WireType {
        match self {
            Self::Plain | Self::Signed | Self::Unsigned | Self::ZigZag => WireType::Varint,
            Self::Fixed32 | Self::Sfixed32 | Self::Float => WireType::Fixed32,
            Self::Fixed64 | Self::Sfixed64 | Self::Double => WireType::Fixed64,
        }
    }
}

/// What stands before the names of a file's messages and services.
fn scope_of(file: &FileDescriptorProto) -> String {
    match file.package() {
        "" => String::new(),
        package => format!("{package}."),
    }
}

fn collect<'a>(scope: &str, message: &'a DescriptorProto, into: &mut Vec<(String, &'a DescriptorProto)>) {
    let name = format!("{scope}{}", message.name());
    let inside = format!("{name}.");
    into.push((name, message));
    message.nested_type.iter().for_each(|nested| collect(&inside, nested, into));
}
