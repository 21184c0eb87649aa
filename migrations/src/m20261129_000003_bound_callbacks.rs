//! Finds codes of hosted consents by their state and by the moment at which they came, so that neither a visit nor the
//! sweep looks at those of others.

use sea_orm_migration::prelude::*;

#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum HostedCode {
    Table,
    AppId,
    StateHash,
    SealedCode,
    PresentTime,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn indexes() -> [IndexCreateStatement; 3] {
    let index = |name: &str, by: HostedCode| {
        let mut index = Index::create();
        index.name(name).table(HostedCode::Table).col(HostedCode::AppId).col(by);
        index
    };
    let sealed = Expr::col(HostedCode::SealedCode).is_not_null();
    [
        index("hosted_code_state", HostedCode::StateHash),
        index("hosted_code_present", HostedCode::PresentTime),
        index("hosted_code_sealed", HostedCode::PresentTime).and_where(sealed).take(),
    ]
}
