//! How object stores are reached, the same for every command that reads them.

use clap::Args;

/// What the tools of AWS call the same.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StoreArgs {
    /// Do not sign requests to object stores: the data are public
    #[arg(long, conflicts_with = "request_payer", help_heading = "Stores")]
    pub(crate) no_sign_request: bool,
    /// Pay for requests to S3 buckets that want it
    #[arg(long, help_heading = "Stores")]
    pub(crate) request_payer: bool,
    /// Take AWS credentials from this profile (default: AWS_PROFILE)
    #[arg(long, value_name = "NAME", help_heading = "Stores")]
    pub(crate) aws_profile: Option<String>,
    /// Region of S3 buckets (default: found by itself)
    #[arg(long, value_name = "NAME", help_heading = "Stores")]
    pub(crate) aws_region: Option<String>,
    /// Where S3 is, when it is not AWS, such as https://minio.example.org
    #[arg(long, value_name = "URL", help_heading = "Stores")]
    pub(crate) endpoint_url: Option<String>,
}
