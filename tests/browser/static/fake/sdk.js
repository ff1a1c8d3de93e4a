// The "SDK" of the platform of the tests.
window.fakeSdk = {};
