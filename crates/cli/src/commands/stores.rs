//! What the options about stores mean.

use anyhow::Result;
use datacube::{Signing, configure_stores, stores};

use crate::args::StoreArgs;

/// Sets the stores of the process up as the command line says.
pub(super) fn configure(args: &StoreArgs) -> Result<()> {
    let mut options = stores().options();
    if args.no_sign_request {
        options = options.with_signing(Signing::Never);
        options.s3.signing = Some(Signing::Never);
    }
    if args.request_payer {
        options.s3.requester_pays = Some(true);
    }
    if let Some(profile) = &args.aws_profile {
        options.s3 = options.s3.with_profile(profile);
    }
    if let Some(region) = &args.aws_region {
        options.s3 = options.s3.with_region(region);
    }
    if let Some(endpoint) = &args.endpoint_url {
        options.s3 = options.s3.with_endpoint(endpoint);
    }
    Ok(configure_stores(options)?)
}
