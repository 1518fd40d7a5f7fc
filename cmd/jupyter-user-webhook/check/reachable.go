package check

import "context"

// reachable checks that the Service has ready endpoints, and that more than one replica is available.
func reachable(_ context.Context, s *state) (found []Finding) {
	if s.service.Name == "" {
		found = append(found, failed(services, "is missing: %s", s.installAgain()))
	}
	ready := 0
	for _, slice := range s.endpoints.Items {
		if slice.Labels["kubernetes.io/service-name"] != webhookName {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				ready += len(endpoint.Addresses)
			}
		}
	}
	if s.service.Name != "" && ready == 0 {
		found = append(found, failed(services, "has no ready endpoint, so no notebook starts: kubectl -n %s get pods, and "+
			"their logs", systemNamespace))
	}
	available := s.deployment.Status.AvailableReplicas
	switch {
	case s.deployment.Name == "":
		found = append(found, failed(deployments, "is missing: %s", s.installAgain()))
	case available == 0:
		found = append(found, failed(deployments, "has no replica that is available: kubectl -n %s describe pods", systemNamespace))
	case available == 1:
		found = append(found, warning(deployments, "has one replica that is available: while it is replaced, no notebook starts"))
	}
	if len(found) == 0 {
		found = append(found, ok(services, "has %s, and the Deployment %s", count(ready, "ready endpoint"),
			count(int(available), "available replica")))
	}
	return found
}
