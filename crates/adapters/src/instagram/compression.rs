//! Bodies that are compressed though we ask for none: a proxy on the way may do that.
//!
//! Only by gzip or deflate, which everybody reads. Brotli and zstd come to those who ask for them: a body in one of
//! these is an answer that cannot be read, and not worth a decoder of each.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// The first bytes of every gzip stream; no JSON begins with them.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1>.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The body as it was before it was compressed; `None` where that is broken or longer than `max_length` bytes.
pub(super) fn decompressed(
    headers: &HeaderMap,
    body: Vec<u8>,
    max_length: usize,
) -> Option<Vec<u8>> {
    let encoding = headers.get(CONTENT_ENCODING).map(|encoding| encoding.as_bytes().trim_ascii());
    if body.starts_with(&GZIP_MAGIC) {
        return bounded(MultiGzDecoder::new(body.as_slice()), max_length);
    }
    match encoding {
        // With zlib's frame, as it should be, or without it, as it was often understood.
        Some(encoding) if encoding.eq_ignore_ascii_case(b"deflate") => {
            let framed = bounded(ZlibDecoder::new(body.as_slice()), max_length);
            framed.or_else(|| bounded(DeflateDecoder::new(body.as_slice()), max_length))
        }
        _ => Some(body),
    }
}

/// Reads no more than one byte beyond the bound, however much a small body expands to.
fn bounded(decoder: impl Read, max_length: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let limit = u64::try_from(max_length).ok()?.saturating_add(1);
    decoder.take(limit).read_to_end(&mut body).ok()?;
    (body.len() <= max_length).then_some(body)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    const MAX_LENGTH: usize = 64 * 1024;

    fn read(mut encoder: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        encoder.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        read(GzEncoder::new(body, Compression::best()))
    }

    fn zlib(body: &[u8]) -> Vec<u8> {
        read(ZlibEncoder::new(body, Compression::best()))
    }

    fn raw_deflate(body: &[u8]) -> Vec<u8> {
        read(DeflateEncoder::new(body, Compression::best()))
    }

    fn decompressed(encoding: &'static str, body: Vec<u8>) -> Option<Vec<u8>> {
        let encoding = HeaderValue::from_static(encoding);
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, encoding)]);
        super::decompressed(&headers, body, MAX_LENGTH)
    }

    #[rstest]
    #[case::gzip("gzip", gzip)]
    #[case::gzip_by_its_old_name("x-gzip", gzip)]
    #[case::gzip_unsaid("", gzip)]
    #[case::zlib("deflate", zlib)]
    #[case::zlib_in_capitals(" Deflate ", zlib)]
    #[case::raw_deflate("deflate", raw_deflate)]
    fn a_bomb_is_read_up_to_the_bound(
        #[case] encoding: &'static str,
        #[case] compress: fn(&[u8]) -> Vec<u8>,
    ) {
        let longest = vec![b' '; MAX_LENGTH];
        assert_eq!(decompressed(encoding, compress(&longest)), Some(longest));
        assert_eq!(decompressed(encoding, compress(&vec![b' '; MAX_LENGTH + 1])), None);
        let bomb = compress(&vec![b' '; 64 * 1024 * 1024]);
        assert!(bomb.len() < 1024 * 1024, "{}", bomb.len());
        assert_eq!(decompressed(encoding, bomb), None);
    }

    #[rstest]
    #[case::said_and_not_done("gzip", b"{}".to_vec())]
    #[case::nothing_to_compress("gzip", Vec::new())]
    #[case::identity("identity", b"{}".to_vec())]
    fn a_plain_body_is_taken_as_it_is(#[case] encoding: &'static str, #[case] body: Vec<u8>) {
        assert_eq!(decompressed(encoding, body.clone()), Some(body));
    }

    #[test]
    fn a_stream_that_was_cut_off_is_none() {
        let mut body = gzip(b"{\"access_token\":\"IGAA1\"}");
        body.truncate(body.len() - 9);
        assert_eq!(decompressed("gzip", body), None);
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(body in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(decompressed("gzip", gzip(&body)), Some(body.clone()));
            prop_assert_eq!(decompressed("deflate", zlib(&body)), Some(body));
        }

        #[test]
        fn no_bytes_break_it(body in any::<Vec<u8>>(), magic: bool) {
            let body = if magic { [GZIP_MAGIC.to_vec(), body].concat() } else { body };
            let found = decompressed("deflate", body);
            prop_assert!(found.is_none_or(|body| body.len() <= MAX_LENGTH));
        }
    }
}
