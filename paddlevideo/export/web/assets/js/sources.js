// A camera or a file in the <video>; what goes wrong is an error with a sentence for the page.

const CAMERA_ERRORS = {
  NotAllowedError:
    "The camera may not be used: permission was refused. Allow it in the browser's settings for " +
    "this page, and try again.",
  NotFoundError: "No camera was found. Connect one, or open a video file.",
  NotReadableError: "The camera cannot be read; perhaps another program uses it. Close that one, and try again.",
  OverconstrainedError: "The chosen camera is not there any more. Choose another one.",
};
const WITHOUT_CAMERAS =
  "Browsers let only secure pages use a camera: open this page by https, or on this device by " +
  "http://localhost.";

/**
 * Show a camera.
 *
 * id: of one, or "" for any (of a phone the one at its back); isWanted: whether it still is when
 * permission was given, which may take minutes.
 */
export async function openCamera(video, id, isWanted) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error(WITHOUT_CAMERAS);
  }
  const which = id ? { deviceId: { exact: id } } : { facingMode: "environment" };
  const wanted = { ...which, width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  } catch (error) {
    throw new Error(CAMERA_ERRORS[error.name] ?? `The camera cannot be used: ${error.message}`);
  }
  if (!isWanted()) {
    stream.getTracks().forEach((track) => track.stop());
    throw new Error("another video was opened meanwhile");
  }
  video.srcObject = stream;
  await video.play();
  return stream;
}

/** The cameras by name; they have names only once one was permitted. */
export async function listCameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices.filter((device) => device.kind === "videoinput" && device.deviceId);
}

/** Show a file from its beginning; it does not play yet. */
export async function openFile(video, file) {
  video.src = URL.createObjectURL(file);
  await new Promise((resolve, reject) => {
    video.onloadeddata = () => resolve();
    video.onerror = () => reject(undecodable(file));
  });
  video.onerror = null;
  if (!video.videoWidth) {
    throw undecodable(file);
  }
}

function undecodable(file) {
  return new Error(
    `"${file.name}" cannot be shown by this browser: it is no video, is damaged, or has a codec ` +
      "that is not known here. H.264 in an MP4 file works in every browser.",
  );
}

/** Let go of camera or file. */
export function closeSource(video) {
  video.pause();
  video.onerror = null;
  for (const track of video.srcObject?.getTracks() ?? []) {
    track.stop();
  }
  video.srcObject = null;
  if (video.src) {
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
    video.load();
  }
}
