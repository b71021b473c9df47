//! What only an index on a server has: users, and spatial indexes by CRS.

use datacube_geo::Crs;
use datacube_index::User;
use uuid::Uuid;

both! {
    /// Who may use the index, and in which role.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) where the index has no users of its own.
    users / users_async (index) -> Vec<User> {
        Ok(index.users().await?)
    }

    /// Makes a user: `user` reads, `manage` writes, `admin` does everything.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) where the index has no users of its
    /// own, or the name is taken.
    create_user / create_user_async (
        index,
        role: &str = role.to_owned(),
        name: &str = name.to_owned(),
        password: &str = password.to_owned(),
        description: Option<&str> = description.map(str::to_owned),
    ) -> () {
        Ok(index
            .create_user(&role, &name, &password, description.as_deref())
            .await?)
    }

    /// Gives a role to users.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) where the index has no users of its
    /// own, or does not know one of them.
    grant / grant_async (
        index,
        role: &str = role.to_owned(),
        names: &[String] = names.to_vec(),
    ) -> () {
        Ok(index.grant(&role, &names).await?)
    }

    /// Deletes users.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) where the index has no users of its
    /// own, or does not know one of them.
    delete_users / delete_users_async (index, names: &[String] = names.to_vec()) -> () {
        Ok(index.delete_users(&names).await?)
    }

    /// The CRSs in which the index keeps footprints ready for searching.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) when the index cannot be read.
    spatial_indexes / spatial_indexes_async (index) -> Vec<Crs> {
        Ok(index.spatial_indexes().await?)
    }

    /// Makes a spatial index in a CRS; tells whether that is new. It is empty
    /// until [`Datacube::update_spatial_index`](crate::Datacube::update_spatial_index).
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) where the index has but one.
    create_spatial_index / create_spatial_index_async (index, crs: &Crs = crs.clone()) -> bool {
        Ok(index.create_spatial_index(&crs).await?)
    }

    /// Brings footprints into spatial indexes: of the products or datasets
    /// named, else of all; tells how many datasets that were.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) where the index has but one, and for
    /// an unknown product.
    update_spatial_index / update_spatial_index_async (
        index,
        crses: &[Crs] = crses.to_vec(),
        products: &[String] = products.to_vec(),
        ids: &[Uuid] = ids.to_vec(),
    ) -> u64 {
        Ok(index.update_spatial_index(&crses, &products, &ids).await?)
    }

    /// Drops the spatial index in a CRS; tells whether there was one.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) where the index has but one.
    drop_spatial_index / drop_spatial_index_async (index, crs: &Crs = crs.clone()) -> bool {
        Ok(index.drop_spatial_index(&crs).await?)
    }
}
