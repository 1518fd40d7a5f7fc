// Package chaos holds the webhook, as the program that is built, against what goes wrong around it: replicas that are replaced,
// killed, stopped and starved, callers that stall and lie, certificates that change. The API server is a real one; two replicas
// stand behind what does with connections as a Service does (service_test.go). Each scenario is a test that measures, and the
// figures of all are printed as one table at the end.
//
// make chaos plays the short form, which is for every change; make chaos LONG=1 the long one, which is for a release. They differ
// in how long and how often alone (main_test.go).
//
// What can be shown without a process and an API server is tested where it belongs, and not here once more:
//
//	hostile reviews                           TestHostileReviews; each by name: TestMalformed of webhook
//	what is large                             TestHugeReviews, TestManyLargeReviews; each by name: TestTooLarge, TestTheLargestReview,
//	                                          TestLargeBodiesTakeTurns of webhook
//	fuzzing                                   make fuzz: FuzzReview of webhook from the wire, FuzzPods of test/property to the patch,
//	                                          FuzzAgainstAdmissionWebhook against controller-runtime's; half an hour each in
//	                                          make release-check
//	Pod Security Admission's own pods         TestPodSecurityAdmissionsOwnPods of test/property
//	injected twice, beside a second webhook   TestMadeUpPods, TestMadeUpPodsBesideASecondWebhook of test/property
//	fields of the future                      TestUnknownFieldsAtEveryLevel of test/property
//	100 creates a second                      TestSteadyLoad
//	a burst                                   TestBurst
//	rolling restarts                          TestRollingRestarts
//	one of two is killed                      TestOneOfTwoIsKilled
//	both are down                             TestBothAreDown
//	a stand-in                                TestStandIns; a share that hangs behind us: TestTheShareHangs of webhook/identity/share
//	a directory service that hangs            TestTheDirectoryServiceHangs; each other fault: faults_test.go of webhook/identity/ldap
//	certificates                              TestCertificateIsRotated, TestCertificateIsWrong
//	stalled connections                       TestStalledConnections; each way to stall: TestStalledConnectionsAreClosed of webhook
//	no client certificate, wrong path         TestNobodyElseIsServed; more of them: TestOnlyAnAPIServerIsAClient of certs,
//	or method, HTTP/2                         TestOtherPathsAndMethods, TestOnlyHTTP11IsNegotiated of webhook
//	names that nobody should have             TestHostileNamesStayNames of test/property, TestParseHostileNames of webhook/user
//	no egress, no credentials                 TestNoEgressAndNoCredentials
//	stopped while answering                   TestStoppedWhileAnswering; in one process: TestNothingIsLostAtTheEnd of webhook
//	short of memory, processors, disk, time   TestShortOfEverything
//
// A clock that jumps cannot be had for one process: to whom it jumps, certificates are of another time, and time limits are over
// at once. Both are played.
package chaos
