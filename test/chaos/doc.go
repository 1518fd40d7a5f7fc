// Package chaos tests the built program with failures around it: replicas that are replaced, killed, stopped or short of memory, clients
// that stall or send wrong data, and certificates that change. The API server is real. Two replicas run behind a proxy that treats
// connections like a Service (service_test.go). Each test measures something, and a table at the end shows all figures.
//
// make chaos runs the short form, for every change. make chaos LONG=1 runs the long form, for a release. The forms differ only in duration
// and in the number of repetitions (main_test.go).
//
// Some failures need no process and no API server. Unit tests have them, and this list names them too:
//
//	hostile reviews                           TestHostileReviews; each kind: TestMalformedReviews of webhook/server
//	large reviews                             TestHugeReviews, TestManyLargeReviews; each kind: TestTooLarge, TestLargestReview,
//	                                          TestLargeBodiesWait of webhook/server
//	fuzzing                                   make fuzz: FuzzReview of webhook/server for whole requests, FuzzPods of test/property for
//	                                          patches, FuzzAgainstAdmissionWebhook for a comparison with controller-runtime; half an hour
//	                                          each in make release-check
//	Pods of Pod Security Admission's tests    TestPodSecurityAdmissionsOwnPods of test/property
//	injected twice, with a second webhook     TestMadeUpPods, TestMadeUpPodsBesideASecondWebhook of test/property
//	fields of newer Kubernetes                TestUnknownFieldsAtEveryLevel of test/property
//	100 creates a second                      TestSteadyLoad
//	a burst                                   TestBurst
//	rolling restarts                          TestRollingRestarts
//	one of two replicas is killed             TestOneOfTwoIsKilled
//	both replicas are down                    TestBothReplicasAreDown
//	another server in the webhook's place     TestStandIns
//	a share that hangs                        TestShareHangs of webhook/identity/share
//	a directory service that hangs            TestTheDirectoryServiceHangs; other faults: faults_test.go of webhook/identity/ldap
//	certificates                              TestCertificateIsRotated, TestCertificateIsWrong
//	stalled connections                       TestStalledConnections; each kind: TestStalledConnectionsAreClosed of webhook/server
//	no client certificate, wrong path         TestOnlyAcceptedClientsAreServed; more kinds: TestVerifyClient of certs,
//	or method, HTTP/2                         TestOtherPathsAndMethods, TestNegotiatesHTTP11 of webhook/server
//	hostile user names                        TestHostileNamesStayNames of test/property, TestParseHostileNames of webhook/user
//	no egress, no credentials                 TestNoEgressAndNoCredentials
//	stopped during reviews                    TestStoppedDuringReviews; in one process: TestShutdownLosesNoReview of webhook/server
//	short of memory, processors, disk, time   TestShortOfEverything
//
// One process cannot have a clock that jumps. A jump has two effects: certificates are of another time, and time limits end at once.
// TestShortOfEverything tests both.
package chaos
