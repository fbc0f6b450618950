//! What a call names: the ids that earlier steps hand out, the things that it is about, the secret that it carries.
//!
//! Whoever wants to know such a thing of any call asks here: a new action is thought through in this file, once.

use super::call::{Arg, Body, StepId, TagTarget};
use crate::model::digest::SecretRef;
use crate::model::ids::{CloudId, ImageId, InstanceId};

/// Which target of which step.
pub type Output = (StepId, u32);

fn output<T>(arg: &Arg<T>) -> Option<Output> {
    match arg {
        Arg::Known(_) => None,
        Arg::Output { step, target } => Some((*step, *target)),
    }
}

impl<T> Arg<T> {
    /// Replaces a reference to a target of a step by what `to` says.
    pub fn redirect(&mut self, to: &dyn Fn(Output) -> Output) {
        if let Self::Output { step, target } = self {
            (*step, *target) = to((*step, *target));
        }
    }
}

fn image_of(id: CloudId) -> Option<ImageId> {
    match id {
        CloudId::Image(id) => Some(id),
        CloudId::Instance(_) => None,
    }
}

fn instance_of(id: CloudId) -> Option<InstanceId> {
    match id {
        CloudId::Instance(id) => Some(id),
        CloudId::Image(_) => None,
    }
}

/// What a call does with the image that it names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum With {
    /// Instances run from it afterwards.
    Run,
    /// Other images are made from it.
    Copy,
    /// It is shared, or a share of it is cancelled.
    Share,
    /// It is only described otherwise.
    Describe,
}

impl Body {
    /// Whether the cloud can check it without doing it (API text 1.10).
    #[must_use]
    pub fn has_dry_run(&self) -> bool {
        match self {
            Self::RunInstances(_)
            | Self::CreateImage { .. }
            | Self::SyncImages { .. }
            | Self::ImportImage { .. }
            | Self::DeleteImages { .. } => true,
            Self::ShareImage { .. }
            | Self::ModifyImage { .. }
            | Self::TerminateInstances { .. }
            | Self::StopInstances { .. }
            | Self::StartInstances { .. }
            | Self::ResetInstance { .. }
            | Self::ResizeInstance { .. }
            | Self::ModifyInstances { .. }
            | Self::TagResources { .. }
            | Self::UntagResources { .. }
            | Self::Describe(_) => false,
        }
    }

    /// Whether it changes anything: the others only read.
    #[must_use]
    pub fn mutates(&self) -> bool {
        !matches!(self, Self::Describe(_))
    }

    /// The ids that are not known yet, in order.
    #[must_use]
    pub fn outputs(&self) -> Vec<Output> {
        match self {
            Self::RunInstances(launch) => output(&launch.image).into_iter().collect(),
            Self::CreateImage { instance, .. } => output(instance).into_iter().collect(),
            Self::SyncImages { image, .. }
            | Self::ShareImage { image, .. }
            | Self::ModifyImage { image, .. }
            | Self::ResetInstance { image, .. } => output(image).into_iter().collect(),
            Self::TagResources { resources, .. } | Self::UntagResources { resources, .. } => {
                resources.iter().filter_map(|resource| output(&resource.id)).collect()
            }
            Self::StopInstances { instances } | Self::TerminateInstances { instances } => {
                instances.iter().filter_map(output).collect()
            }
            Self::ImportImage { .. }
            | Self::DeleteImages { .. }
            | Self::StartInstances { .. }
            | Self::ResizeInstance { .. }
            | Self::ModifyInstances { .. }
            | Self::Describe(_) => Vec::new(),
        }
    }

    /// Replaces every reference to a step by what `rename` says.
    pub fn renumber(&mut self, rename: &dyn Fn(StepId) -> StepId) {
        self.redirect(&|(step, target)| (rename(step), target));
    }

    /// Replaces every reference to a target of a step by what `to` says.
    pub fn redirect(&mut self, to: &dyn Fn(Output) -> Output) {
        match self {
            Self::RunInstances(launch) => launch.image.redirect(to),
            Self::CreateImage { instance, .. } => instance.redirect(to),
            Self::SyncImages { image, .. }
            | Self::ShareImage { image, .. }
            | Self::ModifyImage { image, .. }
            | Self::ResetInstance { image, .. } => image.redirect(to),
            Self::TagResources { resources, .. } | Self::UntagResources { resources, .. } => {
                for resource in resources {
                    resource.id.redirect(to);
                }
            }
            Self::StopInstances { instances } | Self::TerminateInstances { instances } => {
                for instance in instances {
                    instance.redirect(to);
                }
            }
            Self::ImportImage { .. }
            | Self::DeleteImages { .. }
            | Self::StartInstances { .. }
            | Self::ResizeInstance { .. }
            | Self::ModifyInstances { .. }
            | Self::Describe(_) => {}
        }
    }

    /// Puts ids in the place of outputs. Of a list, what has no id is left out; anything else that has none makes the
    /// whole call impossible: then the output that is missing comes back.
    ///
    /// # Errors
    /// The output that has no id.
    pub fn resolve(&mut self, id_of: &dyn Fn(Output) -> Option<CloudId>) -> Result<(), Output> {
        fn one<T>(
            arg: &mut Arg<T>,
            id_of: &dyn Fn(Output) -> Option<CloudId>,
            convert: fn(CloudId) -> Option<T>,
        ) -> Result<(), Output> {
            if let Arg::Output { step, target } = arg {
                let wanted = (*step, *target);
                *arg = Arg::Known(id_of(wanted).and_then(convert).ok_or(wanted)?);
            }
            Ok(())
        }
        fn several<T>(items: &mut Vec<T>, mut one: impl FnMut(&mut T) -> Result<(), Output>) -> Result<(), Output> {
            let mut missing = None;
            items.retain_mut(|item| match one(item) {
                Ok(()) => true,
                Err(output) => {
                    missing = Some(output);
                    false
                }
            });
            match missing {
                Some(output) if items.is_empty() => Err(output),
                _ => Ok(()),
            }
        }
        match self {
            Self::RunInstances(launch) => one(&mut launch.image, id_of, image_of),
            Self::CreateImage { instance, .. } => one(instance, id_of, instance_of),
            Self::SyncImages { image, .. }
            | Self::ShareImage { image, .. }
            | Self::ModifyImage { image, .. }
            | Self::ResetInstance { image, .. } => one(image, id_of, image_of),
            Self::TagResources { resources, .. } | Self::UntagResources { resources, .. } => {
                several(resources, |TagTarget { id, .. }| one(id, id_of, Some))
            }
            Self::StopInstances { instances } | Self::TerminateInstances { instances } => {
                several(instances, |instance| one(instance, id_of, instance_of))
            }
            Self::ImportImage { .. }
            | Self::DeleteImages { .. }
            | Self::StartInstances { .. }
            | Self::ResizeInstance { .. }
            | Self::ModifyInstances { .. }
            | Self::Describe(_) => Ok(()),
        }
    }

    /// The one image that is named, and what is done with it. A deletion names images to be without them.
    fn named_image(&self) -> Option<(&Arg<ImageId>, With)> {
        match self {
            Self::RunInstances(launch) => Some((&launch.image, With::Run)),
            Self::ResetInstance { image, .. } => Some((image, With::Run)),
            Self::SyncImages { image, .. } => Some((image, With::Copy)),
            Self::ShareImage { image, .. } => Some((image, With::Share)),
            Self::ModifyImage { image, .. } => Some((image, With::Describe)),
            Self::CreateImage { .. }
            | Self::ImportImage { .. }
            | Self::DeleteImages { .. }
            | Self::TerminateInstances { .. }
            | Self::StopInstances { .. }
            | Self::StartInstances { .. }
            | Self::ResizeInstance { .. }
            | Self::ModifyInstances { .. }
            | Self::TagResources { .. }
            | Self::UntagResources { .. }
            | Self::Describe(_) => None,
        }
    }

    /// The image that must be there when this is done.
    #[must_use]
    pub fn image(&self) -> Option<&Arg<ImageId>> {
        self.named_image().map(|(image, _)| image)
    }

    /// The image that instances run from when this is done.
    #[must_use]
    pub fn runs_from(&self) -> Option<&Arg<ImageId>> {
        self.named_image().filter(|(_, with)| *with == With::Run).map(|(image, _)| image)
    }

    /// The image that something is made from, instances or other images.
    #[must_use]
    pub fn made_from(&self) -> Option<&Arg<ImageId>> {
        self.named_image().filter(|(_, with)| matches!(with, With::Run | With::Copy)).map(|(image, _)| image)
    }

    /// The image that must not be busy when this is done.
    #[must_use]
    pub fn needs_idle(&self) -> Option<&Arg<ImageId>> {
        self.named_image().filter(|(_, with)| *with != With::Describe).map(|(image, _)| image)
    }

    /// The name of the images that this makes.
    #[must_use]
    pub fn names_images(&self) -> Option<&str> {
        match self {
            Self::CreateImage { name, .. } | Self::ImportImage { name, .. } | Self::SyncImages { name, .. } => {
                Some(name)
            }
            Self::RunInstances(_)
            | Self::ShareImage { .. }
            | Self::ModifyImage { .. }
            | Self::DeleteImages { .. }
            | Self::TerminateInstances { .. }
            | Self::StopInstances { .. }
            | Self::StartInstances { .. }
            | Self::ResetInstance { .. }
            | Self::ResizeInstance { .. }
            | Self::ModifyInstances { .. }
            | Self::TagResources { .. }
            | Self::UntagResources { .. }
            | Self::Describe(_) => None,
        }
    }

    /// The instances, as far as they are known, whose latest operation this becomes: the one that an image is made from
    /// among them. Tags are no operation on an instance.
    #[must_use]
    pub fn operates_on(&self) -> Vec<&InstanceId> {
        match self {
            Self::StartInstances { instances } | Self::ModifyInstances { instances, .. } => instances.iter().collect(),
            Self::StopInstances { instances } | Self::TerminateInstances { instances } => {
                instances.iter().filter_map(Arg::known).collect()
            }
            Self::CreateImage { instance, .. } => instance.known().into_iter().collect(),
            Self::ResetInstance { instance, .. } | Self::ResizeInstance { instance, .. } => vec![instance],
            Self::RunInstances(_)
            | Self::ImportImage { .. }
            | Self::SyncImages { .. }
            | Self::ShareImage { .. }
            | Self::ModifyImage { .. }
            | Self::DeleteImages { .. }
            | Self::TagResources { .. }
            | Self::UntagResources { .. }
            | Self::Describe(_) => Vec::new(),
        }
    }

    /// The secret whose bytes are sent.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretRef> {
        match self {
            Self::RunInstances(launch) => launch.user_data.as_ref(),
            Self::ResetInstance { with, .. } => with.user_data.as_ref(),
            Self::CreateImage { .. }
            | Self::ImportImage { .. }
            | Self::SyncImages { .. }
            | Self::ShareImage { .. }
            | Self::ModifyImage { .. }
            | Self::DeleteImages { .. }
            | Self::TerminateInstances { .. }
            | Self::StopInstances { .. }
            | Self::StartInstances { .. }
            | Self::ResizeInstance { .. }
            | Self::ModifyInstances { .. }
            | Self::TagResources { .. }
            | Self::UntagResources { .. }
            | Self::Describe(_) => None,
        }
    }

    /// Takes one thing out of a call on several; `false` where there is no such thing in it, or nothing would be left.
    pub fn without(&mut self, id: &str) -> bool {
        fn drop_one<T>(items: &mut Vec<T>, is_it: impl Fn(&T) -> bool) -> bool {
            let before = items.len();
            if before < 2 {
                return false;
            }
            items.retain(|item| !is_it(item));
            items.len() < before
        }
        match self {
            Self::DeleteImages { images } => drop_one(images, |image| image.as_str() == id),
            Self::StartInstances { instances } | Self::ModifyInstances { instances, .. } => {
                drop_one(instances, |instance| instance.as_str() == id)
            }
            Self::StopInstances { instances } | Self::TerminateInstances { instances } => {
                drop_one(instances, |instance| instance.known().is_some_and(|known| known.as_str() == id))
            }
            Self::TagResources { resources, .. } | Self::UntagResources { resources, .. } => {
                drop_one(resources, |resource| resource.id.known().is_some_and(|known| known.as_str() == id))
            }
            Self::RunInstances(_)
            | Self::CreateImage { .. }
            | Self::ImportImage { .. }
            | Self::SyncImages { .. }
            | Self::ShareImage { .. }
            | Self::ModifyImage { .. }
            | Self::ResetInstance { .. }
            | Self::ResizeInstance { .. }
            | Self::Describe(_) => false,
        }
    }

    /// Whether the call names several things that could as well be named in calls of their own.
    #[must_use]
    pub fn batch(&self) -> usize {
        match self {
            Self::DeleteImages { images } => images.len(),
            Self::StartInstances { instances } | Self::ModifyInstances { instances, .. } => instances.len(),
            Self::StopInstances { instances } | Self::TerminateInstances { instances } => instances.len(),
            Self::TagResources { resources, .. } | Self::UntagResources { resources, .. } => resources.len(),
            Self::RunInstances(_)
            | Self::CreateImage { .. }
            | Self::ImportImage { .. }
            | Self::SyncImages { .. }
            | Self::ShareImage { .. }
            | Self::ModifyImage { .. }
            | Self::ResetInstance { .. }
            | Self::ResizeInstance { .. }
            | Self::Describe(_) => 1,
        }
    }
}
