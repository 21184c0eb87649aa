//! Outcome of a call, as metrics tell it.

use http::Response;
use ig_metrics::{Label, Outcome};
use tonic::{Code, Status};

/// Outcome of a call: a code of gRPC.
///
/// Source: <https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended(Code);

impl Label for Ended {
    const NAME: &'static str = "code";
    const ALL: &'static [Self] = &[
        Self(Code::Ok),
        Self(Code::Cancelled),
        Self(Code::Unknown),
        Self(Code::InvalidArgument),
        Self(Code::DeadlineExceeded),
        Self(Code::NotFound),
        Self(Code::AlreadyExists),
        Self(Code::PermissionDenied),
        Self(Code::ResourceExhausted),
        Self(Code::FailedPrecondition),
        Self(Code::Aborted),
        Self(Code::OutOfRange),
        Self(Code::Unimplemented),
        Self(Code::Internal),
        Self(Code::Unavailable),
        Self(Code::DataLoss),
        Self(Code::Unauthenticated),
    ];

    fn value(self) -> &'static str {
        match self.0 {
            Code::Ok => "OK",
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

impl Outcome for Ended {
    const GIVEN_UP: Self = Self(Code::Cancelled);
}

impl Ended {
    /// Whether there is an answer.
    pub(super) fn is_ok(self) -> bool {
        self.0 == Code::Ok
    }

    /// Outcome that the head of a response tells: a failure, or that there is an answer.
    pub(crate) fn of<B>(response: &Response<B>) -> Self {
        if let Some(status) = response.extensions().get::<Status>() {
            return Self(status.code());
        }
        // A method that its service does not have is answered by a bare header.
        let code = response.headers().get(Status::GRPC_STATUS);
        Self(code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_code_has_a_place_of_its_own() {
        let places: Vec<_> = Ended::ALL.iter().map(|ended| ended.index()).collect();
        assert_eq!(places, (0..Ended::ALL.len()).collect::<Vec<_>>());
    }

    #[rstest]
    #[case::an_answer(Response::new(()), "OK")]
    #[case::a_failure(Status::data_loss("").into_http(), "DATA_LOSS")]
    #[case::a_bare_header(Response::builder().header("grpc-status", "12").body(()).unwrap(), "UNIMPLEMENTED")]
    #[case::nonsense(Response::builder().header("grpc-status", "x").body(()).unwrap(), "UNKNOWN")]
    fn a_response_tells_how_its_call_ended(#[case] response: Response<()>, #[case] expected: &str) {
        assert_eq!(Ended::of(&response).value(), expected);
    }
}
