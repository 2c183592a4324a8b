import MediaPipeTasksVision
import UIKit

struct Answer {
  let label: String
  let probability: Float
}

/// `model.tflite` in MediaPipe's image classifier: names and probabilities come from the file.
final class Recogniser {
  static let shared = Result { try Recogniser() }

  private let classifier: ImageClassifier
  private let preprocess: Preprocess

  init() throws {
    guard let model = Bundle.main.path(forResource: "model", ofType: "tflite"),
      let settings = Bundle.main.url(forResource: "preprocess", withExtension: "json")
    else { throw CocoaError(.fileNoSuchFile) }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    preprocess = try decoder.decode(Preprocess.self, from: Data(contentsOf: settings))
    let options = ImageClassifierOptions()
    options.baseOptions.modelAssetPath = model
    options.runningMode = .image
    options.maxResults = 5
    classifier = try ImageClassifier(options: options)
  }

  func answers(for image: UIImage) throws -> [Answer] {
    let result = try classifier.classify(image: MPImage(uiImage: preprocess.fit(image)))
    let categories = result.classificationResult.classifications.first?.categories ?? []
    return categories.map { Answer(label: $0.categoryName ?? "class \($0.index)", probability: $0.score) }
  }
}

/// How a picture comes to the file's size, as `preprocess.json` says. UIKit's scaling weighs all pixels, as
/// training's does; it is not the same to the last shade.
struct Preprocess: Decodable {
  let size: [Int]
  let resize: String
  let cropFraction: CGFloat
  let fill: CGFloat

  func fit(_ image: UIImage) -> UIImage {
    let format = UIGraphicsImageRendererFormat()
    format.scale = 1
    format.opaque = true
    let target = CGSize(width: size[1], height: size[0])
    return UIGraphicsImageRenderer(size: target, format: format).image { context in
      background.setFill()
      context.fill(CGRect(origin: .zero, size: target))
      context.cgContext.interpolationQuality = .high
      image.draw(in: place(of: image.size, in: target))  // upright, whatever the camera wrote
    }
  }

  private var background: UIColor {
    resize == "letterbox" ? UIColor(white: fill / 255, alpha: 1) : .white
  }

  private func place(of source: CGSize, in target: CGSize) -> CGRect {
    if source == target || resize == "stretch" { return CGRect(origin: .zero, size: target) }
    let (across, down) = (target.width / source.width, target.height / source.height)
    let scale = resize == "crop" ? max(across, down) / cropFraction : min(across, down)
    let (width, height) = (source.width * scale, source.height * scale)
    return CGRect(
      x: (target.width - width) / 2, y: (target.height - height) / 2, width: width, height: height)
  }
}
