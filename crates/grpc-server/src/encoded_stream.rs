//! Streams whose messages are encoded before they are handed over.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::{Empty, empty};
use http::HeaderMap;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::{Response, Status};

/// A message as [`encode`](crate::encoded_answer::encode) makes it, or the end of the stream.
pub(crate) type Encoded = Result<Bytes, Status>;

/// The stream of a response whose messages are sent in another way.
pub(crate) type NoMessages<M> = Empty<Result<M, Status>>;

/// Encoded messages, which are sent in place of the stream of their response.
#[derive(Clone)]
pub(crate) struct EncodedStream(Arc<Mutex<Option<mpsc::Receiver<Encoded>>>>);

impl EncodedStream {
    /// The stream of `messages`, the last of which is its end.
    pub(crate) fn new(messages: mpsc::Receiver<Encoded>) -> Self {
        Self(Arc::new(Mutex::new(Some(messages))))
    }

    /// A response whose own stream is not sent.
    pub(crate) fn into_response<M>(self) -> Response<NoMessages<M>> {
        let mut response = Response::new(empty());
        response.extensions_mut().insert(self);
        response
    }

    /// `response` with the messages that were encoded for it, where some are.
    pub(crate) fn put_into(mut response: http::Response<Body>) -> http::Response<Body> {
        let Some(Self(messages)) = response.extensions_mut().remove() else { return response };
        let messages = messages.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(messages) = messages else { return response };
        let frames =
            ReceiverStream::new(messages).map(|message| Ok::<_, Infallible>(frame(message)));
        response.map(|_| Body::new(StreamBody::new(frames)))
    }
}

fn frame(message: Encoded) -> Frame<Bytes> {
    match message {
        Ok(message) => Frame::data(message),
        Err(end) => {
            let mut trailers = HeaderMap::new();
            // Texts are escaped, so each fits; the code is there in any case.
            let _fits = end.add_header(&mut trailers);
            Frame::trailers(trailers)
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use ig_proto::v1;
    use tonic::codec::Streaming;
    use tonic_prost::ProstCodec;

    use super::*;
    use crate::encoded_answer::encode;

    /// As a client hears the messages of a response.
    async fn heard(messages: Vec<Encoded>) -> (Vec<v1::WatchResponse>, Option<Status>) {
        let (sender, receiver) = mpsc::channel(messages.len().max(1));
        for message in messages {
            sender.try_send(message).unwrap();
        }
        drop(sender);
        let stream = EncodedStream::new(receiver).into_response::<v1::WatchResponse>();
        let mut response = http::Response::new(Body::empty());
        *response.extensions_mut() = stream.extensions().clone();
        let body = EncodedStream::put_into(response).into_body();
        let mut codec = ProstCodec::<v1::WatchResponse, v1::WatchResponse>::default();
        let decoder = tonic::codec::Codec::decoder(&mut codec);
        let ok = http::StatusCode::OK;
        let mut stream = Streaming::new_response(decoder, body, ok, None, None);
        let mut heard = Vec::new();
        loop {
            match stream.message().await {
                Ok(Some(message)) => heard.push(message),
                Ok(None) => return (heard, None),
                Err(status) => return (heard, Some(status)),
            }
        }
    }

    #[tokio::test]
    async fn messages_and_their_end_are_heard_as_if_tonic_had_sent_them() {
        let messages = ["a", "b"].map(|cursor| v1::WatchResponse {
            cursor: cursor.to_owned(),
            padding: vec![0; 70_000],
            ..v1::WatchResponse::default()
        });
        let mut sent: Vec<Encoded> = messages.iter().map(|message| Ok(encode(message))).collect();
        let mut end = Status::with_details(
            tonic::Code::OutOfRange,
            "expired: \u{e9} %",
            Bytes::from_static(b"details"),
        );
        end.metadata_mut().insert("x-request-id", "7".parse().unwrap());
        sent.push(Err(end.clone()));
        let (heard, ended) = heard(sent).await;
        assert_eq!(heard, messages);
        let ended = ended.unwrap();
        assert_eq!((ended.code(), ended.message()), (end.code(), end.message()));
        assert_eq!(ended.details(), end.details());
        assert_eq!(ended.metadata().get("x-request-id").unwrap(), "7");
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_has_not_ended_well() {
        let message = v1::WatchResponse::default();
        let (heard, ended) = heard(vec![Ok(encode(&message))]).await;
        assert_eq!(heard, [message]);
        assert!(ended.is_some());
    }

    #[tokio::test]
    async fn any_other_response_keeps_its_body() {
        let response = http::Response::new(Body::new(http_body_util::Full::from("body")));
        let response = EncodedStream::put_into(response);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body");
    }
}
