//! Follows the files of TLS, so that a renewed certificate needs no restart and ends no connection.

use std::sync::Arc;

use ig_grpc_server::{CurrentTls, Tls};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Contents, TlsFileError, TlsFiles};
use crate::file_following::{FollowedFiles, ReloadableFiles};

/// TLS that follows its files.
pub(crate) type FollowedTls = FollowedFiles<TlsInUse>;

/// TLS of some files, as they were when they were last applied.
pub(crate) struct TlsInUse {
    files: TlsFiles,
    current: watch::Sender<Tls>,
}

impl FollowedTls {
    /// TLS as the files are now; `None` where there are to be none.
    ///
    /// # Errors
    ///
    /// [`TlsFileError`] when one cannot be used, or does not fit another.
    pub(crate) async fn start(files: Option<TlsFiles>) -> Result<Option<Self>, TlsFileError> {
        let Some(files) = files else { return Ok(None) };
        let contents = files.read().await?;
        let current = watch::Sender::new(files.tls_of(&contents)?);
        Ok(Some(Self::new(TlsInUse { files, current }, contents)))
    }

    /// TLS for new connections, as of the latest look.
    pub(crate) fn current(&self) -> CurrentTls {
        let current = self.watch();
        Arc::new(move || current.borrow().clone())
    }

    /// The same, to be looked at.
    pub(crate) fn watch(&self) -> watch::Receiver<Tls> {
        self.files().current.subscribe()
    }
}

impl ReloadableFiles for TlsInUse {
    type Contents = Contents;
    type Error = TlsFileError;

    async fn read(&self) -> Result<Contents, TlsFileError> {
        self.files.read().await
    }

    async fn apply(&self, contents: &Contents) -> Result<(), TlsFileError> {
        self.current.send_replace(self.files.tls_of(contents)?);
        Ok(())
    }

    fn log(&self, applied: Result<(), TlsFileError>) {
        match applied {
            Ok(()) => info!("the files of TLS changed: new connections use them"),
            Err(error) => {
                warn!(%error, "the files of TLS cannot be used; the former ones still are");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use ig_grpc_server::TlsPart;
    use ig_test_support::certificates::{Authority, Issued, Name};
    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;

    struct Folder(TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            let Issued { pem, key, .. } = localhost();
            folder.put("certificate", &pem);
            folder.put("key", &key);
            folder.put("clients", &Authority::new().pem);
            folder
        }

        fn put(&self, name: &str, content: &str) {
            fs::write(self.0.path().join(name), content).unwrap();
        }

        fn files(&self) -> TlsFiles {
            let path = |name: &str| self.0.path().join(name);
            let (certificate, key) = (path("certificate"), path("key"));
            TlsFiles { certificate, key, client_ca: Some(path("clients")) }
        }

        async fn follow(&self) -> FollowedTls {
            FollowedTls::start(Some(self.files())).await.unwrap().unwrap()
        }

        async fn refused(&self) -> TlsFileError {
            FollowedTls::start(Some(self.files())).await.err().unwrap()
        }
    }

    fn localhost() -> Issued {
        Authority::new().issue(&[Name::Dns("localhost")])
    }

    #[rstest]
    #[case::certificate("certificate", "GRPC_TLS_CERT", TlsPart::Certificate)]
    #[case::key("key", "GRPC_TLS_KEY", TlsPart::Key)]
    #[case::client_ca("clients", "GRPC_TLS_CLIENT_CA", TlsPart::ClientCa)]
    #[tokio::test]
    async fn a_file_that_will_not_do_is_named_with_its_variable(
        #[case] name: &str,
        #[case] variable: &str,
        #[case] part: TlsPart,
    ) {
        let folder = Folder::new();
        let path = folder.0.path().join(name).display().to_string();
        for (content, which) in [("", "is empty"), ("planted", "holds no")] {
            folder.put(name, content);
            let error = folder.refused().await;
            let text = error.to_string();
            assert!(text.starts_with(&format!("{variable} names {path}, which {which}")), "{text}");
            assert_eq!((error.part, text.contains("planted")), (part, false));
        }
        folder.put(name, &"x".repeat(1024 * 1024 + 1));
        assert!(folder.refused().await.problem.ends_with("which is larger than 1048576 bytes"));
        fs::remove_file(folder.0.path().join(name)).unwrap();
        let problem = folder.refused().await.problem;
        assert!(problem.contains("which is not readable (No such file"), "{problem}");
    }

    #[tokio::test]
    async fn a_key_of_another_certificate_stops_the_start() {
        let folder = Folder::new();
        folder.put("key", &localhost().key);
        let text = folder.refused().await.to_string();
        assert!(text.ends_with("which holds the private key of another certificate"), "{text}");
    }

    #[tokio::test]
    async fn new_files_are_taken_once_certificate_and_key_fit() {
        let folder = Folder::new();
        let mut tls = folder.follow().await;
        let current = tls.files().current.subscribe();
        assert_eq!(tls.look().await, None);
        let Issued { pem, key, .. } = localhost();
        folder.put("certificate", &pem);
        assert_eq!(tls.look().await, None, "the key is to come still");
        folder.put("key", &key);
        assert_eq!(tls.look().await, None, "they may still be written");
        assert!(!current.has_changed().unwrap());
        assert_eq!(tls.look().await, Some(Ok(())));
        assert!(current.has_changed().unwrap());
        assert_eq!(tls.look().await, None);
    }

    #[rstest]
    #[case::a_chain("certificate")]
    #[case::authorities("clients")]
    #[tokio::test]
    async fn half_a_list_of_certificates_is_not_taken(#[case] name: &str) {
        let folder = Folder::new();
        let half = fs::read_to_string(folder.0.path().join(name)).unwrap();
        let whole = format!("{half}{}", Authority::new().pem);
        folder.put(name, &whole);
        let mut tls = folder.follow().await;
        let current = tls.files().current.subscribe();
        // The file is written anew while looks are taken: its first half is as good a list as the whole.
        folder.put(name, &half);
        assert_eq!(tls.look().await, None);
        folder.put(name, &whole);
        assert_eq!((tls.look().await, tls.look().await), (None, None));
        assert!(!current.has_changed().unwrap(), "what is in use was whole all along");
        folder.put(name, &half);
        assert_eq!((tls.look().await, tls.look().await), (None, Some(Ok(()))), "it stays so");
    }

    #[tokio::test]
    async fn other_authorities_of_clients_are_taken_alone() {
        let folder = Folder::new();
        let mut tls = folder.follow().await;
        folder.put("clients", &Authority::new().pem);
        assert_eq!((tls.look().await, tls.look().await), (None, Some(Ok(()))));
    }

    #[tokio::test]
    async fn files_that_stay_broken_are_told_once_and_the_former_stay() {
        let folder = Folder::new();
        let mut tls = folder.follow().await;
        let current = tls.files().current.subscribe();
        let told = async |tls: &mut FollowedTls| {
            assert_eq!(tls.look().await, None);
            let error = tls.look().await.unwrap().unwrap_err();
            assert_eq!(tls.look().await, None);
            error
        };
        let certificate = folder.0.path().join("certificate");
        let former = fs::read_to_string(&certificate).unwrap();
        folder.put("certificate", "planted");
        let error = told(&mut tls).await;
        assert_eq!(
            (error.part, error.to_string().contains("planted")),
            (TlsPart::Certificate, false)
        );
        remove(&certificate);
        assert!(told(&mut tls).await.problem.contains("is not readable"));
        assert!(!current.has_changed().unwrap());
        folder.put("certificate", &former);
        assert_eq!((tls.look().await, tls.look().await), (None, Some(Ok(()))), "well again");
    }

    fn remove(file: &Path) {
        fs::remove_file(file).unwrap();
    }
}
