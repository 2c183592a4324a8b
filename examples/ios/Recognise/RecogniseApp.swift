import PhotosUI
import SwiftUI

/// Choose a picture, see what `model.tflite` says of it.
@main
struct RecogniseApp: App {
  var body: some Scene {
    WindowGroup { RecogniseView() }
  }
}

struct RecogniseView: View {
  @State private var choosing = false
  @State private var picture: UIImage?
  @State private var answers: [Answer] = []
  @State private var trouble = ""

  var body: some View {
    VStack(alignment: .leading, spacing: 16) {
      Button("Choose a picture") { choosing = true }
      if let picture {
        Image(uiImage: picture).resizable().scaledToFit().frame(maxHeight: 240)
      }
      ForEach(answers, id: \.label) { answer in
        Text("\(answer.label)  \(String(format: "%.1f %%", 100 * answer.probability))")
      }
      Text(trouble).foregroundColor(.red)
    }
    .padding()
    .sheet(isPresented: $choosing) { Chooser(chosen: recognise) }
  }

  private func recognise(_ image: UIImage) {
    picture = image
    Task.detached {
      let found = Result { try Recogniser.shared.get().answers(for: image) }
      await MainActor.run {
        switch found {
        case .success(let said): (answers, trouble) = (said, "")
        case .failure(let error): (answers, trouble) = ([], error.localizedDescription)
        }
      }
    }
  }
}

/// The system's photo picker; it asks for no permission.
struct Chooser: UIViewControllerRepresentable {
  let chosen: (UIImage) -> Void

  func makeUIViewController(context: Context) -> PHPickerViewController {
    var configuration = PHPickerConfiguration()
    configuration.filter = .images
    let controller = PHPickerViewController(configuration: configuration)
    controller.delegate = context.coordinator
    return controller
  }

  func updateUIViewController(_ controller: PHPickerViewController, context: Context) {}

  func makeCoordinator() -> Coordinator { Coordinator(chosen: chosen) }

  final class Coordinator: NSObject, PHPickerViewControllerDelegate {
    private let chosen: (UIImage) -> Void

    init(chosen: @escaping (UIImage) -> Void) { self.chosen = chosen }

    func picker(_ picker: PHPickerViewController, didFinishPicking results: [PHPickerResult]) {
      picker.dismiss(animated: true)
      guard let provider = results.first?.itemProvider, provider.canLoadObject(ofClass: UIImage.self)
      else { return }
      provider.loadObject(ofClass: UIImage.self) { [chosen] image, _ in
        guard let image = image as? UIImage else { return }
        DispatchQueue.main.async { chosen(image) }
      }
    }
  }
}
