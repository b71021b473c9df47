//! Products of collections.

use datacube_model::stac::{StacCollection, StacConfig};
use datacube_model::{MetadataType, Product};
use datacube_testkit::shared;

#[test]
fn collections_become_products_or_say_why_not() {
    let Some(folder) = shared("metadata") else {
        return;
    };
    let (mut n_products, mut n_refused, mut n_measurements) = (0, 0, 0);
    for project in std::fs::read_dir(folder.join("stac-collection")).expect("a folder") {
        for file in std::fs::read_dir(project.expect("an entry").path()).expect("a folder") {
            let path = file.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("text");
            let document = datacube_model::parse_document(&text, "x.json")
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let described = document["item_assets"]
                .as_object()
                .is_some_and(|assets| !assets.is_empty());
            let product = StacCollection::from_document(document)
                .and_then(|found| found.product_document(&StacConfig::default()));
            match product {
                Ok(product) => {
                    let product = Product::from_document(product.document, &MetadataType::eo3())
                        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                    n_measurements += product.measurements().len();
                    n_products += 1;
                }
                Err(error) => {
                    assert!(
                        !error.problems()[0].path.is_root(),
                        "{}: {error}",
                        path.display()
                    );
                    assert!(!described, "{}: {error}", path.display());
                    n_refused += 1;
                }
            }
        }
    }
    eprintln!(
        "{n_products} collections as products with {n_measurements} measurements, {n_refused} that do not tell their assets"
    );
    assert!(
        n_products >= 60 && n_measurements >= 500,
        "{n_products} {n_measurements}"
    );
}
