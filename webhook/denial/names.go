package denial

// The denials of this file are about the name of the user.

// NameInvalid denies a text that cannot be a user's name. rule is the rule that the text violates.
func NameInvalid(field, name, rule string) Denial {
	return unprocessable("NameInvalid", field, "%q cannot be a user here: %s", shorten(name), rule)
}

// NameReserved denies a name that no notebook may use: a built-in one, such as root, or one of user.reserved.
func NameReserved(field, name string) Denial {
	return forbidden("NameReserved", field, "%q is reserved, and no notebook can run as it: use the name of the user's home "+
		"directory", name)
}

// NameDomain denies a name with a domain that is not one of user.domains. domains is the list of the configured domains as
// text; empty if there are none.
func NameDomain(field, name, domains string) Denial {
	if domains == "" {
		return forbidden("NameDomain", field, "%q has a domain, and this cluster accepts none: use the name without the domain, or "+
			"ask the admin to set user.domains", shorten(name))
	}
	return forbidden("NameDomain", field, "the domain of %q is not %s, so this may be a different user from the one with that "+
		"name here", shorten(name), domains)
}

// NamesDiffer denies a Pod whose label and annotation name two users.
func NamesDiffer(label, inLabel, annotation, inAnnotation string) Denial {
	return unprocessable("NamesDiffer", "metadata", "the label %s is %q and the annotation %s is %q, but a pod runs as one user: "+
		"remove the label, or correct it. A hub that sets the label (KubeSpawner's extra_labels, with a template such as "+
		"{username}) can leave it out: the annotation is enough", label, shorten(inLabel), annotation, shorten(inAnnotation))
}

// HubNameUnmapped denies a hub name (a user's name in JupyterHub) that is mapped to no user.
func HubNameUnmapped(annotation, hubName string) Denial {
	return forbidden("HubNameUnmapped", AnnotationField(annotation), "no user has the hub name %q, spelled exactly so: ask the "+
		"admin to add it to the map of hub names, or to the directory service", shorten(hubName))
}

// HubNameUnusable denies a hub name for which the directory service has no usable account. why continues a sentence that
// begins with the hub name.
func HubNameUnusable(annotation, hubName, why string) Denial {
	return forbidden("HubNameUnusable", AnnotationField(annotation), "%q %s: ask the admin of the directory service to correct "+
		"the account", shorten(hubName), why)
}

// HubNameSilent denies a hub name whose user cannot be looked up.
func HubNameSilent(annotation, hubName string) Denial {
	return unavailable("HubNameSilent", AnnotationField(annotation), "the user of the hub name %q cannot be looked up at the "+
		"moment: try again, and if that does not help ask the admin to look at the webhook's log", shorten(hubName))
}

// HubNameDiffers denies a Pod whose hub name no longer belongs to the user for whom the Pod was injected.
func HubNameDiffers(annotation string) Denial {
	return unavailable("HubNameDiffers", AnnotationField(annotation), "the user of the hub name has changed between the two "+
		"reviews of this pod: try again, and if that does not help ask the admin which other webhook writes this annotation")
}
