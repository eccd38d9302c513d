//! Messages of two services, as an independent implementation writes them, and their descriptors.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet, MessageOptions,
    MethodDescriptorProto, ServiceDescriptorProto,
};

/// A question about reviews, with a field of every kind.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ask {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
    #[prost(string, tag = "2")]
    pub(crate) customer: String,
    #[prost(string, tag = "3")]
    pub(crate) model_name: String,
    #[prost(string, repeated, tag = "4")]
    pub(crate) tags: Vec<String>,
    #[prost(btree_map = "string, string", tag = "5")]
    pub(crate) parameters: BTreeMap<String, String>,
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) picture: Vec<u8>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) parts: Vec<Ask>,
    #[prost(int64, repeated, tag = "8")]
    pub(crate) numbers: Vec<i64>,
    #[prost(double, tag = "9")]
    pub(crate) amount: f64,
    #[prost(fixed64, tag = "10")]
    pub(crate) account: u64,
    #[prost(sint64, tag = "11")]
    pub(crate) offset: i64,
    #[prost(bool, tag = "12")]
    pub(crate) urgent: bool,
    #[prost(string, tag = "13")]
    pub(crate) comment: String,
    #[prost(uint64, tag = "14")]
    pub(crate) order: u64,
    #[prost(float, repeated, tag = "15")]
    pub(crate) scores: Vec<f32>,
}

/// The same message as a newer client knows it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NewerAsk {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
    #[prost(string, tag = "99")]
    pub(crate) secret: String,
    #[prost(message, repeated, tag = "7")]
    pub(crate) parts: Vec<NewerAsk>,
}

/// Of the Open Inference Protocol.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct InferRequest {
    #[prost(string, tag = "1")]
    pub(crate) model_name: String,
    #[prost(message, repeated, tag = "5")]
    pub(crate) inputs: Vec<Tensor>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub(crate) raw_input_contents: Vec<Vec<u8>>,
}

/// What one tensor is.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Tensor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub(crate) shape: Vec<i64>,
}

fn field(name: &str, number: i32, kind: Type, repeated: bool, of: &str) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        label: Some(if repeated { Label::Repeated } else { Label::Optional }.into()),
        r#type: Some(kind.into()),
        type_name: (!of.is_empty()).then(|| of.into()),
        ..FieldDescriptorProto::default()
    }
}

fn method(name: &str, input: &str, output: &str) -> MethodDescriptorProto {
    MethodDescriptorProto {
        name: Some(name.into()),
        input_type: Some(input.into()),
        output_type: Some(output.into()),
        ..MethodDescriptorProto::default()
    }
}

/// The descriptors of both, as `protoc` writes them.
pub(crate) fn descriptors() -> FileDescriptorSet {
    let ask = DescriptorProto {
        name: Some("Ask".into()),
        field: vec![
            field("text", 1, Type::String, false, ""),
            field("customer", 2, Type::String, false, ""),
            field("model_name", 3, Type::String, false, ""),
            field("tags", 4, Type::String, true, ""),
            field("parameters", 5, Type::Message, true, ".reviews.Ask.ParametersEntry"),
            field("picture", 6, Type::Bytes, false, ""),
            field("parts", 7, Type::Message, true, ".reviews.Ask"),
            field("numbers", 8, Type::Int64, true, ""),
            field("amount", 9, Type::Double, false, ""),
            field("account", 10, Type::Fixed64, false, ""),
            field("offset", 11, Type::Sint64, false, ""),
            field("urgent", 12, Type::Bool, false, ""),
            field("comment", 13, Type::String, false, ""),
            field("order", 14, Type::Uint64, false, ""),
            field("scores", 15, Type::Float, true, ""),
        ],
        nested_type: vec![DescriptorProto {
            name: Some("ParametersEntry".into()),
            field: vec![field("key", 1, Type::String, false, ""), field("value", 2, Type::String, false, "")],
            options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
            ..DescriptorProto::default()
        }],
        ..DescriptorProto::default()
    };
    let reviews = FileDescriptorProto {
        package: Some("reviews".into()),
        message_type: vec![ask],
        service: vec![ServiceDescriptorProto {
            name: Some("Reviews".into()),
            method: vec![method("Judge", ".reviews.Ask", ".reviews.Ask")],
            ..ServiceDescriptorProto::default()
        }],
        ..FileDescriptorProto::default()
    };
    let infer = DescriptorProto {
        name: Some("ModelInferRequest".into()),
        field: vec![
            field("model_name", 1, Type::String, false, ""),
            field("inputs", 5, Type::Message, true, ".inference.InferInputTensor"),
            field("raw_input_contents", 7, Type::Bytes, true, ""),
        ],
        ..DescriptorProto::default()
    };
    let tensor = DescriptorProto {
        name: Some("InferInputTensor".into()),
        field: vec![
            field("name", 1, Type::String, false, ""),
            field("datatype", 2, Type::String, false, ""),
            field("shape", 3, Type::Int64, true, ""),
        ],
        ..DescriptorProto::default()
    };
    let inference = FileDescriptorProto {
        package: Some("inference".into()),
        message_type: vec![infer, tensor],
        service: vec![ServiceDescriptorProto {
            name: Some("GRPCInferenceService".into()),
            method: vec![method("ModelInfer", "inference.ModelInferRequest", "inference.ModelInferRequest")],
            ..ServiceDescriptorProto::default()
        }],
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![reviews, inference] }
}
